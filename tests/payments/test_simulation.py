"""The simulated year: no rule broken, the same for a seed, and an auditor that notices."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from xml.etree import ElementTree

import pytest
from django.core.management import CommandError, call_command

from payments.dunning import KATHMANDU, Due, Level
from payments.management.commands import simulate_reminders as command
from payments.simulation import Invoice, Message, Outcome, Shop, audit, simulate

MONDAY = date(2026, 11, 23)


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("simulate_reminders", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_a_year_breaks_no_rule():
    outcome = simulate(begin=MONDAY, days=365, shops=40, seed=3)
    assert outcome.violations == []
    assert all(outcome.by_level().values())
    assert len(outcome.messages) > 1000
    assert outcome.dropped > 0
    assert sum(outcome.messages_per_shop().values()) == 40


def test_the_calendar_as_text_and_the_same_for_a_seed():
    shown = run("--days", "40", "--retailers", "5", "--from", "2026-11-23")
    assert shown == run("--days", "40", "--retailers", "5", "--from", "2026-11-23")
    assert "December 2026" in shown
    assert "-3 courtesy" in shown
    assert shown.rstrip().endswith("0 violations")


def test_figures_for_machines():
    figures = json.loads(run("--days", "100", "--retailers", "10", "--json"))
    assert (figures["days"], figures["retailers"], figures["violations"]) == (100, 10, [])
    assert sum(figures["by_weekday"].values()) == figures["messages"]
    assert "Saturday" not in figures["by_weekday"]
    assert {int(hour) for hour in figures["by_hour"]} <= set(range(9, 19))
    counted = sum(n for levels in figures["calendar"].values() for n in levels.values())
    assert counted == figures["reminders"] + figures["tasks"]


def test_the_chart_is_an_svg_that_loads_nothing(tmp_path):
    path = tmp_path / "year.svg"
    run("--days", "30", "--retailers", "3", "--svg", str(path))
    text = path.read_text()
    assert ElementTree.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"
    assert text.count("http") == 1
    assert [p.name for p in tmp_path.iterdir()] == ["year.svg"]


def test_lengths_that_make_no_sense_are_refused():
    with pytest.raises(CommandError, match="at least 1"):
        run("--days", "0")


INVOICE = Invoice(1, 0, MONDAY, Decimal(100), paid_on=MONDAY + timedelta(days=10))
OPEN = Due(1, MONDAY, Decimal(100))


def message(day: int, level: Level, *, hour: int = 9, shop: int = 0) -> Message:
    at = datetime(2026, 11, 23, hour, tzinfo=KATHMANDU) + timedelta(days=day)
    return Message(shop, at, ((OPEN, level),))


@pytest.mark.parametrize(
    ("messages", "fault"),
    [
        ([message(0, Level.TODAY, hour=8)], "written to at 08:00"),
        ([message(0, Level.TODAY, hour=19)], "written to at 19:00"),
        ([message(5, Level.FRIENDLY)], "on Saturday"),
        ([message(7, Level.FIRM), message(9, Level.FRIENDLY)], "on 2026-11-30 and 2026-12-02"),
        ([message(3, Level.FRIENDLY), message(7, Level.FRIENDLY)], "level 3 twice"),
        ([message(2, Level.FRIENDLY)], "before its day"),
        ([message(10, Level.FIRM)], "which was paid"),
        ([message(0, Level.TODAY, shop=1)], "another's invoice"),
    ],
)
def test_the_auditor_notices(messages, fault):
    outcome = Outcome(MONDAY, 20, seed=0, shops=1, messages=messages)
    (found,) = audit(outcome, [Shop(0, "slow", [INVOICE])])
    assert fault in found


def test_the_auditor_notices_what_was_disputed_promised_or_forgotten():
    invoice = Invoice(
        1,
        0,
        MONDAY,
        Decimal(100),
        paid_on=None,
        dispute=(MONDAY, MONDAY + timedelta(days=1)),
        promised_on=MONDAY,
        promised_until=MONDAY,
    )
    outcome = Outcome(MONDAY, 90, seed=0, shops=1, messages=[message(0, Level.TODAY)])
    assert audit(outcome, [Shop(0, "slow", [invoice])]) == [
        "level 0 about invoice 1, which was disputed",
        "level 0 about invoice 1, which was promised",
        "invoice 1 was forgotten at level 30",
    ]


def test_a_broken_rule_is_exit_code_1():
    """What the command does with violations, shown with an outcome that has one."""
    outcome = Outcome(MONDAY, 1, seed=0, shops=1, violations=["invoice 1 had level 3 twice"])
    assert command.figures(outcome)["violations"] == ["invoice 1 had level 3 twice"]
    with pytest.raises(CommandError, match="broken 1 times") as error:
        command.judge(outcome)
    assert error.value.returncode == 1
