"""Who is who in pg_stat_activity, and which request a statement is of."""

import subprocess
import sys

import pytest
from django.db import connection, connections

from khaacho import logs, sql
from khaacho.process_names import application_name
from tests.processes import ROOT, environment


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/srv/.venv/bin/gunicorn -c x khaacho.wsgi", "khaacho web"),
        ("/usr/lib/gunicorn/__main__.py khaacho.wsgi", "khaacho web"),
        ("/srv/bin/celery -A khaacho worker", "khaacho worker"),
        ("/srv/bin/celery -A khaacho worker -Q whatsapp,reports -c 2", "khaacho worker whatsapp,reports"),
        ("/lib/celery/__main__.py -A khaacho worker --queues=reports", "khaacho worker reports"),
        ("celery -A khaacho worker --queues reports", "khaacho worker reports"),
        ("celery -A khaacho worker -Qreports", "khaacho worker reports"),
        ("/srv/bin/celery -A khaacho beat -l info", "khaacho beat"),
        ("manage.py migrate --noinput", "khaacho migrate"),
        ("/lib/django/__main__.py check", "khaacho check"),
        ("manage.py", "khaacho help"),
        ("", "khaacho "),
    ],
)  # fmt: skip
def test_a_process_is_named_by_how_it_was_started(command, name):
    assert application_name(command.split()) == name


def test_a_name_is_as_long_as_postgresql_keeps_it():
    name = application_name(["celery", "worker", "-Q", "whatsapp," * 9])
    assert len(name) == 63


@pytest.mark.django_db
def test_postgresql_knows_the_name():
    """This process is pytest; the monitor's alias has a name of its own."""
    assert sql.fetch("SHOW application_name") == [(application_name(sys.argv),)]
    assert connections["monitor"].settings_dict["OPTIONS"]["application_name"] == "khaacho monitor"


def test_a_name_given_in_the_address_wins():
    code = "from khaacho.settings import DATABASES; print(DATABASES['default']['OPTIONS']['application_name'])"
    env = environment() | {"DATABASE_URL": "postgresql://x/x?application_name=mine"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "mine\n"


@pytest.mark.django_db
def test_a_statement_is_named_by_its_request_where_that_is_asked_for(settings):
    settings.SQL_REQUEST_IDS = True
    own = connection.copy()
    token = logs.request_id.set("req-1*/; DROP")
    try:
        with own.cursor() as cursor:
            cursor.execute(
                "SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid() AND %s", [True]
            )
            [(query,)] = cursor.fetchall()
    finally:
        logs.request_id.reset(token)
        own.close()
    assert query.startswith("/* req-1DROP */ SELECT query FROM")


@pytest.mark.django_db
def test_a_statement_has_no_comment_as_long_as_it_is_not():
    token = logs.request_id.set("req-1")
    try:
        [(query,)] = sql.fetch("SELECT query FROM pg_stat_activity WHERE pid = pg_backend_pid()")
    finally:
        logs.request_id.reset(token)
    assert query.startswith("SELECT query FROM")


def test_a_command_looks_for_garbage_again_once_all_is_loaded():
    said = subprocess.run(
        [sys.executable, "manage.py", "shell", "-v0", "-c", "import gc; print(gc.isenabled(), gc.get_freeze_count() > 0)"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    assert said.stdout.split() == ["True", "True"]
