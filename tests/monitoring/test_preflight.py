"""The checklist: each line is red when its cause is planted, and green after the remedy that it prints."""

import json
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
import redis
from django.contrib.auth.models import Group
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django_celery_beat.models import PeriodicTask

from credit.models import CreditAccount
from khaacho import jobs, months, sql
from khaacho.enums import Queue
from khaacho.jobs.nodes import Node
from khaacho.models import Job, User
from khaacho.months import Part
from khaacho.schedules import SWEEP
from monitoring import preflight
from monitoring.history import partitions
from monitoring.preflight import Fault
from orders.models import FiscalYear
from tests import months as shape
from tests.factories import make_retailer, make_vendor
from tests.monitoring.history.sampling import DAY, HOUR, follow_indexes, make_index, now
from tests.processes import ROOT, environment, process, wait_for

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

PRODUCTION = {
    "SECRET_KEY": "x1Yq-" * 12,
    "SECURE_TLS": "true",
    "ALLOWED_HOSTS": "khaacho.example",
    "CSRF_TRUSTED_ORIGINS": "https://khaacho.example",
    "ALERT_EMAIL_TO": "owner@khaacho.example",
    "ALERT_WEBHOOK_URL": "",
    "WHATSAPP_APP_SECRETS": "k3-9f",
    "DEBUG": "false",
}


def faults(name: str) -> list[Fault]:
    """Look at one line in this process."""
    [line] = [line for line in preflight.LINES if line.name == name]
    [verdict] = preflight.walk([line])
    return list(verdict.faults)


def the_fault(name: str) -> Fault:
    [fault] = faults(name)
    return fault


def paste(statements: str) -> None:
    """Do what an administrator does with SQL in psql: each statement by itself, outside a transaction."""
    for statement in statements.split(";\n"):
        with connection.cursor() as cursor:
            cursor.execute(statement.split("  --")[0].removesuffix(";"))


def set_as_told(remedy: str) -> dict[str, str]:
    """Return the variables of a remedy, as a shell would set them."""
    found = {}
    for name, value in re.findall(r"^([A-Z_]+)=(.*?)(?:  #.*)?$", remedy, re.MULTILINE):
        said = subprocess.run(
            ["sh", "-c", f"echo {value}"],
            capture_output=True,
            text=True,
            check=True,
            env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin"},
        )
        found[name] = said.stdout.strip()
    return found


# --- the command ---------------------------------------------------------------------------------


def test_lists_its_lines_and_looks_at_those_named():
    out = StringIO()
    call_command("preflight", "--list", stdout=out)
    assert len(out.getvalue().splitlines()) == len(preflight.LINES) > 20
    out = StringIO()
    call_command("preflight", "--only", "migrations", "--only", "clocks", stdout=out)
    assert out.getvalue().splitlines() == [
        "pass  This release's migrations are applied",
        "pass  Clocks agree",
        "2 lines pass",
    ]


def test_says_what_is_wrong_and_what_mends_it():
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 1 lines fail"):
        call_command("preflight", "--only", "workers", stdout=out)
    said = out.getvalue().splitlines()
    assert said[0] == "FAIL  Every queue has a worker"
    assert "      No worker takes jobs of whatsapp." in said
    assert "        celery -A khaacho worker -Q whatsapp" in said


def test_what_cannot_be_looked_at_is_a_fault_and_the_rest_is_looked_at(settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    assert the_fault("redis").said.startswith("It could not be looked at: ConnectionError")
    sql.execute("ALTER TABLE worker_nodes RENAME TO nodes_elsewhere")
    try:
        assert the_fault("beat").said.startswith("It could not be looked at: ProgrammingError")
        assert faults("clocks") == []
    finally:
        sql.execute("ALTER TABLE nodes_elsewhere RENAME TO worker_nodes")


# --- the database --------------------------------------------------------------------------------


def test_migrations():
    call_command("migrate", "monitoring", "0015", verbosity=0)
    try:
        fault = the_fault("migrations")
        assert "monitoring.0016_alert_rules" in fault.said
    finally:
        assert fault.remedy == "python manage.py migrate"
        call_command("migrate", verbosity=0)
    assert faults("migrations") == []


def test_an_index_is_missing():
    sql.execute("DROP INDEX order_owing_idx")
    fault = the_fault("indexes")
    assert "order_owing_idx is missing" in fault.said
    assert fault.remedy.startswith(
        "CREATE INDEX CONCURRENTLY order_owing_idx ON public.orders USING"
    )
    paste(fault.remedy)
    assert faults("indexes") == []


def test_an_index_is_not_the_one_that_is_declared():
    sql.execute("DROP INDEX order_owing_idx")
    sql.execute("CREATE INDEX order_owing_idx ON orders (retailer_id, total, paid_amount)")
    fault = the_fault("indexes")
    assert "order_owing_idx is different" in fault.said
    paste(fault.remedy)
    assert faults("indexes") == []


def test_an_index_is_invalid():
    sql.execute(
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'order_owing_idx'::regclass"
    )
    fault = the_fault("indexes")
    assert fault.remedy == "REINDEX INDEX CONCURRENTLY public.order_owing_idx;"
    paste(fault.remedy)
    assert faults("indexes") == []


def test_an_index_is_there_twice():
    [(definition,)] = sql.fetch("SELECT pg_get_indexdef('order_owing_idx'::regclass)")
    sql.execute(definition.replace("order_owing_idx", "order_owing_again"))
    fault = the_fault("indexes")
    assert fault.remedy == "DROP INDEX CONCURRENTLY IF EXISTS public.order_owing_again;"
    paste(fault.remedy)
    assert faults("indexes") == []


def test_an_index_is_not_used():
    sql.execute("CREATE TABLE shelf (id int PRIMARY KEY, a int)")
    sql.execute("CREATE INDEX shelf_a ON shelf (a)")
    try:
        assert faults("unused-indexes") == []
        at = now()
        partitions.make(at - 16 * DAY, at)
        for half in range(31):
            make_index(at - (31 - half) * 12 * HOUR + HOUR, "shelf_a", 0)
        follow_indexes()
        fault = the_fault("unused-indexes")
        paste(fault.remedy)
        assert faults("unused-indexes") == []
    finally:
        sql.execute("DROP TABLE shelf")


def test_months_are_not_made_ahead():
    assert faults("months") == []
    with shape.as_before():
        first, *_ = months.parts(shape.TABLE)
        end = shape.this_month(1)
        shape.reshape([Part(first.name, None, end), Part("audit_logs_later", end, None)])
        fault = the_fault("months")
        assert fault.said.startswith("Months of audit_logs are made for ")
        assert fault.remedy == "python manage.py make_months"
        out = StringIO()
        call_command("make_months", stdout=out)
        assert len(out.getvalue().splitlines()) == 4
        assert faults("months") == []


def test_an_extension_is_missing():
    sql.execute("DROP EXTENSION pg_stat_statements")
    try:
        [fault] = [
            each for each in faults("extensions") if "CREATE EXTENSION pg_stat" in each.remedy
        ]
    finally:
        paste(fault.remedy.split(" -- ")[0])
    assert faults("extensions") == []


def test_more_connections_than_the_server_has_room_for(monkeypatch):
    assert faults("connections") == []
    monkeypatch.setenv("DB_POOL_MAX", "500")
    fault = the_fault("connections")
    assert "pools 500" in fault.said
    monkeypatch.setenv("DB_POOL_MAX", set_as_told(fault.remedy)["DB_POOL_MAX"])
    assert faults("connections") == []


def test_the_role_is_a_superuser():
    name = f"preflight_{connection.settings_dict['NAME']}"
    sql.execute(f'DROP ROLE IF EXISTS "{name}"')
    sql.execute(f'CREATE ROLE "{name}" SUPERUSER')
    try:
        sql.execute(f'SET ROLE "{name}"')
        fault = the_fault("role")
        assert f"signs in as {name}, a superuser" in fault.said
        sql.execute("RESET ROLE")
        paste(fault.remedy)
        sql.execute(f'SET ROLE "{name}"')
        assert faults("role") == []
    finally:
        sql.execute("RESET ROLE")
        sql.execute(f'DROP ROLE "{name}"')


def test_clocks_differ(monkeypatch):
    assert faults("clocks") == []
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + 120)
    assert "differ by 120.0 seconds" in the_fault("clocks").said
    monkeypatch.undo()
    assert faults("clocks") == []


# --- backups -------------------------------------------------------------------------------------


def test_there_is_no_backup(settings, tmp_path):
    settings.BACKUP_DIR = ""
    assert set_as_told(the_fault("backup").remedy) == {"BACKUP_DIR": "/var/backups/khaacho"}
    assert faults("drill") == []
    settings.BACKUP_DIR = str(tmp_path)
    backup, drill = the_fault("backup"), the_fault("drill")
    assert backup.said == "The last backup was never made."
    for fault in (backup, drill):
        call_command(*fault.remedy.split()[2:], stdout=StringIO(), stderr=StringIO())
    assert (faults("backup"), faults("drill")) == ([], [])


# --- the site ------------------------------------------------------------------------------------

PLANTED = (
    {
        "DEBUG": "true",
        "SECRET_KEY": "development-only-000",
        "SECURE_TLS": "false",
        "ALLOWED_HOSTS": "*",
        "ALERT_EMAIL_TO": "",
        "WHATSAPP_APP_SECRETS": "",
    },
    {
        "ALLOWED_HOSTS": "localhost",
        "CSRF_TRUSTED_ORIGINS": "http://khaacho.example",
        "ALERT_WEBHOOK_URL": "https://hooks.example/1",
    },
)
OF_SETTINGS = ("secrets", "tls", "names", "alert-targets", "deploy-checks", "whatsapp")
SAID = (
    {
        "SECRET_KEY is a placeholder.",
        "The site is not served over HTTPS.",
        "The site answers to any name.",
        "Nobody is told of alerts.",
        "No message of a shop is believed: there is no secret to check its signature with.",
    },
    {
        "The site answers to no name but this machine's own.",
        "Forms are taken from http://khaacho.example.",
        "Alerts are posted without a signature.",
    },
)
STAYS = "Messages to shops are printed instead of sent."  # until there is an account to send from


def looked(**env: str) -> tuple[int, dict[str, str]]:
    """Run `manage.py preflight` for the settings' lines; return exit code, and remedies by what is wrong."""
    only = [part for name in OF_SETTINGS for part in ("--only", name)]
    done = subprocess.run(
        [sys.executable, "manage.py", "preflight", "--json", *only],
        cwd=ROOT,
        env=environment(**PRODUCTION | {"DB_POOL_MAX": "0"} | env),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout, done.stderr[-2000:]
    verdicts = json.loads(done.stdout)
    assert [each["name"] for each in verdicts] == sorted(
        OF_SETTINGS, key=[line.name for line in preflight.LINES].index
    )
    return done.returncode, {f["said"]: f["remedy"] for each in verdicts for f in each["faults"]}


@pytest.mark.parametrize(("planted", "said"), list(zip(PLANTED, SAID, strict=True)))
def test_settings(planted, said):
    code, found = looked(**planted)
    assert (code, said - set(found)) == (1, set())
    assert any(each.startswith("security.") for each in found) == ("DEBUG" in planted)
    mended = {"DEBUG": "false"}
    for each in said:
        mended |= set_as_told(found[each])
    _, left = looked(**planted | mended)
    assert set(left) <= {STAYS}


def test_static_files(settings, tmp_path):
    settings.STATIC_ROOT, settings.WHITENOISE_USE_FINDERS = tmp_path, False
    # unsqueezed, which is all that is quicker
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    settings.STORAGES = {**settings.STORAGES, "staticfiles": plain}
    fault = the_fault("static-files")
    call_command(*fault.remedy.split()[2:], verbosity=0)
    assert faults("static-files") == []


def test_logs(settings, tmp_path):
    settings.LOG_DIR = ""
    name, _, _ = the_fault("logs").remedy.partition("=")
    assert name == "LOG_DIR"
    settings.LOG_DIR = str(tmp_path)
    assert faults("logs") == []
    settings.LOG_DIR = str(tmp_path / "missing")
    assert the_fault("logs").remedy.startswith("install -d ")


# --- who is at work ------------------------------------------------------------------------------


def test_redis_may_forget_queues(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
    fault = the_fault("redis")
    subprocess.run(
        ["sh", "-c", fault.remedy], env=environment(), check=True, stdout=subprocess.DEVNULL
    )
    assert faults("redis") == []


@pytest.mark.processes
@pytest.mark.patient
def test_beat_and_a_worker_are_away(tmp_path):
    for name in sorted(set(Queue.values) - {Queue.REPORTS}):
        Node(f"elsewhere:{name}", [name], 2).report()
    beat, worker = the_fault("beat"), the_fault("workers")
    assert beat.said == "Beat last looked at the clock never."
    for fault in (beat, worker):
        command = fault.remedy.split()
        with process("-m", *command, log=tmp_path / "log"):
            name = "beat" if fault is beat else "workers"
            wait_for(lambda name=name: faults(name) == [], seconds=60, what=name)


def test_schedules():
    call_command("sync_schedules", stdout=StringIO())
    PeriodicTask.objects.filter(name=SWEEP).delete()
    fault = the_fault("schedules")
    call_command(fault.remedy.split()[-1], stdout=StringIO())
    assert faults("schedules") == []


def test_dead_jobs():
    with transaction.atomic():
        jobs.enqueue("monitoring.take_sample", {})
    Job.objects.update(state="dead", attempts=3)
    assert the_fault("dead-jobs").said == "1 jobs are dead."
    Job.objects.update(state="done")
    assert faults("dead-jobs") == []


def test_groups():
    call_command("sync_groups", stdout=StringIO())
    Group.objects.filter(name="Credit").delete()
    missing, nobody = faults("groups")
    call_command(missing.remedy.split()[-1], stdout=StringIO())
    User.objects.create_superuser(phone="+9779800000001", password="gr3at-pass", name="Boss")
    assert nobody.said == "Nobody may do everything."
    assert faults("groups") == []


def test_the_fiscal_year_ends_soon():
    assert faults("fiscal-year") == []
    years = list(FiscalYear.objects.all())
    FiscalYear.objects.all().delete()
    try:
        assert "would have no fiscal year" in the_fault("fiscal-year").said
    finally:
        FiscalYear.objects.bulk_create(years)
    assert faults("fiscal-year") == []


def test_an_invariant_is_violated():
    account = CreditAccount.objects.create(retailer=make_retailer(), vendor=make_vendor())
    sql.execute("SET session_replication_role = replica")
    try:
        sql.execute("UPDATE credit_accounts SET balance = balance + 1 WHERE id = %s", [account.pk])
        fault = faults("books")[0]
        with pytest.raises(CommandError):
            call_command(*fault.remedy.split()[2:], stdout=StringIO())
        sql.execute("UPDATE credit_accounts SET balance = balance - 1 WHERE id = %s", [account.pk])
    finally:
        sql.execute("SET session_replication_role = origin")
    assert faults("books") == []
