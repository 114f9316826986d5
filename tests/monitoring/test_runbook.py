"""The runbook knows every alert, and what it tells people to type is there."""

import re
import shlex
from pathlib import Path

import pytest
from django.core.management import get_commands, load_command_class

from khaacho import sql
from khaacho.enums import Queue
from monitoring.enums import RuleMeasure

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "runbook.md").read_text()
TYPED = re.findall(r"`python manage\.py ([^`]+)`", TEXT)


def test_every_rule_has_its_section():
    headings = " ".join(re.findall(r"^### (.*)$", TEXT, re.MULTILINE))
    assert set(re.findall(r"`(\w+)`", headings)) == set(RuleMeasure.values)


@pytest.mark.parametrize("typed", sorted(set(TYPED)))
def test_commands_are_understood(typed):
    name, *arguments = shlex.split(typed)
    parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
    arguments = [re.sub(r"^NAME$", "migrations", each) for each in arguments]
    parser.parse_args(arguments)  # SystemExit when it is not understood


@pytest.mark.django_db(databases=["default", "monitor"])
def test_statements_run():
    block = "".join(re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL))
    inline = [each for each in re.findall(r"`(SELECT [^`]+;)`", TEXT) if "drop_" not in each]
    statements = [each for each in (block + " ".join(inline)).split(";") if each.strip()]
    assert len(statements) >= 6
    for statement in statements:
        sql.fetch(statement)


def test_queues_that_it_names_are_there():
    named = set(re.findall(r"(?:-Q|--queue) (\w+)", TEXT))
    assert named
    assert named <= set(Queue.values)
