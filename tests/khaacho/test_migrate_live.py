"""Migrations beside a working site: they give way, come again, and leave nothing half done."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader

from khaacho.live_migrations import LockNotGot, Patience
from tests.processes import ROOT, environment

pytestmark = pytest.mark.django_db(transaction=True)
COLUMN = "SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'delivery_window'"
NEXT = "deploy.scale.releases.next"


# They were written before the rule, and are applied everywhere or to empty tables.
BEFORE_THE_RULE = {
    f"{app}.{number}"
    for app, numbers in {
        "credit": ["0007", "0008", "0009"],
        "khaacho": ["0004", "0006", "0007", "0008"],
        "orders": ["0006", "0007"],
        "payments": ["0004", "0006", "0010"],
        "vendors": ["0004", "0007", "0009"],
        "whatsapp": ["0004"],
    }.items()
    for number in numbers
}


def url() -> str:
    found = connection.settings_dict
    return psycopg.conninfo.make_conninfo(
        host=found["HOST"], port=found["PORT"] or None, user=found["USER"], dbname=found["NAME"],
        password=found["PASSWORD"] or None,
    )  # fmt: skip


@contextmanager
def reading(table: str) -> Iterator[psycopg.Connection]:
    """Read the table in a transaction that stays open, and goes on seeing what it saw."""
    with psycopg.connect(url()) as reader:
        reader.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        reader.execute(f"SELECT count(*) FROM {table}")
        yield reader


@pytest.fixture
def table() -> Iterator[str]:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE hot (id int)")
        cursor.execute("INSERT INTO hot SELECT generate_series(1, 100)")
    yield "hot"
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE hot")


def patience(say: Callable[[str], None], seconds: float = 30.0) -> Patience:
    return Patience(50, 2000, seconds, say, pause=0.05)


def execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def fetch(statement: str) -> object:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()[0]


def test_a_statement_gives_way_says_to_whom_and_comes_again(table: str) -> None:
    said: list[str] = []
    with reading(table) as reader:
        pid = reader.info.backend_pid

        def say(text: str) -> None:
            said.append(text)
            if len(said) == 2:
                reader.rollback()

        with patience(say).governing(connection):
            execute("ALTER TABLE hot ADD COLUMN more int")

    assert len(said) == 2
    assert said[0].startswith(
        f"ALTER TABLE hot ADD COLUMN more int gave way after 50 ms (the oldest transaction: pid {pid}"
    )
    assert fetch("SELECT count(more) FROM hot") == 0


def test_who_reads_meanwhile_waits_no_longer_than_the_statement_does(table: str) -> None:
    """The queue behind the statement is what stops a site; each try lets it through."""
    answered = threading.Event()
    with reading(table), psycopg.connect(url(), autocommit=True) as other:
        other.execute("SET lock_timeout = '5s'")

        def look(text: str) -> None:
            other.execute("SELECT count(*) FROM hot")
            answered.set()

        with pytest.raises(LockNotGot), patience(look, seconds=0.3).governing(connection):
            execute("ALTER TABLE hot ADD COLUMN more int")

    assert answered.is_set()


def test_its_limits_end_with_it(table: str) -> None:
    before = fetch("SELECT current_setting('lock_timeout')")

    with patience(print).governing(connection):
        assert fetch("SELECT current_setting('lock_timeout')") == "50ms"
        assert fetch("SELECT current_setting('statement_timeout')") == "2s"

    assert fetch("SELECT current_setting('lock_timeout')") == before


def test_an_index_that_is_built_beside_the_work_waits_for_it_without_giving_way(table: str) -> None:
    said: list[str] = []
    with reading(table) as reader:
        begun = time.monotonic()
        ends = threading.Timer(0.5, reader.rollback)
        ends.start()
        with patience(said.append).governing(connection):
            execute("CREATE INDEX CONCURRENTLY hot_idx ON hot (id)")
            assert fetch("SELECT current_setting('lock_timeout')") == "50ms"
        assert time.monotonic() - begun >= 0.5
        ends.join()

    assert said == []
    assert fetch("SELECT indisvalid FROM pg_index WHERE indexrelid = 'hot_idx'::regclass") is True


def test_what_a_failed_build_left_is_removed_before_the_next(table: str) -> None:
    said: list[str] = []
    execute("INSERT INTO hot VALUES (1)")
    build = 'CREATE UNIQUE INDEX CONCURRENTLY "hot_idx" ON hot (id)'
    with pytest.raises(DatabaseError), patience(said.append).governing(connection):
        execute(build)
    assert fetch("SELECT indisvalid FROM pg_index WHERE indexrelid = 'hot_idx'::regclass") is False
    execute("DELETE FROM hot WHERE id = 1")

    with patience(said.append).governing(connection):
        execute(build)

    assert said == ["public.hot_idx is what a failed build left: removed, and built anew"]
    assert fetch("SELECT indisvalid FROM pg_index WHERE indexrelid = 'hot_idx'::regclass") is True


def test_a_statement_that_works_long_under_its_lock_is_ended(table: str) -> None:
    governed = Patience(50, 100, 5.0, print)
    with pytest.raises(DatabaseError, match="statement timeout"), governed.governing(connection):
        execute("SELECT pg_sleep(5)")


def test_past_pgbouncer_or_not_at_all(settings) -> None:
    settings.DB_PGBOUNCER = True

    with pytest.raises(CommandError, match="leads to PgBouncer"):
        call_command("migrate_live")


def test_nothing_to_do_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("migrate_live")

    assert capsys.readouterr().out == "the schema is as this release wants it; gave way 0 times\n"


def migrate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", "migrate_live", *arguments],
        cwd=ROOT,
        env=environment(DJANGO_SETTINGS_MODULE=NEXT),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.processes
@pytest.mark.patient
def test_a_release_goes_forward_and_back_and_gives_up_with_a_sentence() -> None:
    """The migrations that the scaled demo brings out: a column, an index, a constraint in two steps."""
    with reading("orders"):
        refused = migrate("--patience", "0.3", "--lock-timeout", "50")
    assert refused.returncode == 3, refused.stderr
    assert "window.0001_orders_have_a_window did not get its lock within 0.3 s" in refused.stderr
    assert (
        "was rolled back; those before it are applied. The same command goes on" in refused.stderr
    )
    assert fetch(COLUMN) == 0

    forward = migrate()
    try:
        assert forward.returncode == 0, forward.stderr
        assert forward.stdout.count(" applied\n") == 4
        assert fetch(COLUMN) == 1
    finally:
        back = migrate("window", "zero")
    assert back.returncode == 0, back.stderr
    assert back.stdout.count(" taken back\n") == 4
    assert fetch(COLUMN) == 0


def test_outside_of_a_transaction_a_migration_does_one_thing() -> None:
    """What stopped midway between two could not simply be run again (docs/releases.md)."""
    ours = {
        app.label for app in apps.get_app_configs() if (ROOT / app.label / "migrations").exists()
    }
    found = {
        f"{app}.{name[:4]}"
        for (app, name), migration in MigrationLoader(None).disk_migrations.items()
        if app in ours and not migration.atomic and len(migration.operations) > 1
    }

    assert found == BEFORE_THE_RULE
