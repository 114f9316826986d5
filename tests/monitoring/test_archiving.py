"""Months leave the database for files and come back; whoever is killed at any point has lost nothing."""

import csv
import hashlib
import json
import logging
import signal
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import zstandard
from django.core.management import CommandError, call_command
from django.db import connection, connections, transaction

from khaacho import jobs, months, sql
from khaacho.models import AuditLog, Job
from khaacho.months import Part
from monitoring.archiving import files, leaving, returning
from monitoring.backups import dumping, encryption, making, server, shelf
from monitoring.backups.faults import BackupFailed, Busy, RestoreRefused, Unreadable
from monitoring.preflight.checklist import LINES
from monitoring.preflight.lines import walk
from tests import months as shape
from tests.factories import make_user
from tests.months import COLUMNS, TABLE, insert, name, names, rows, tables, this_month
from tests.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)

DAY = timedelta(days=1)
ODD = 'a "quoted"\nline, पसल\t\\. and \\N'


class Killed(BaseException):
    """What ends a run as SIGTERM does."""


@pytest.fixture
def home(settings, tmp_path: Path) -> Path:
    settings.BACKUP_DIR = str(tmp_path / "backups")
    return shelf.directory()


@pytest.fixture
def old(home: Path):
    """Let the log have two months that ended long ago, with rows, beside what it has."""
    with shape.as_before():
        first, *rest = months.parts(TABLE)
        oldest, second, begin = this_month(-5), this_month(-4), this_month(-3)
        shape.reshape(
            [
                Part(f"{name(oldest).replace('logs_', 'logs_until_')}", None, second),
                Part(name(second), second, begin),
                Part(first.name, begin, first.until),
                *rest,
            ]
        )
        user = make_user()
        sql.execute("UPDATE users SET name = 'Sita'")  # an entry of today
        insert(datetime(2020, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC), 1, user_id=user.pk)
        insert(second, 2, reason=ODD, new_values=json.dumps({"note": ODD, "n": 1.50}))
        insert(second + DAY, 3, reason="")
        yield names()[:2]


def archive(home: Path, kept: int = 2, **more: Any) -> list[files.Archive]:
    return leaving.archive(home, encryption.keys(), kept_months=kept, **more)


def path_of(home: Path, part: str) -> Path:
    found = files.find(home / "archive", part)
    assert found is not None
    return found


def written(home: Path, part: str) -> list[dict[str, str]]:
    """Read an archive with other tools than those that wrote it."""
    plain = (
        subprocess.run(
            ["zstd", "-dc", str(path_of(home, part))], capture_output=True, check=False
        ).stdout
        if _has_zstd()
        else zstandard.ZstdDecompressor().stream_reader(path_of(home, part).open("rb")).read()
    )
    return list(csv.DictReader(StringIO(plain.decode(), newline="")))


def _has_zstd() -> bool:
    return any(Path(each, "zstd").exists() for each in ("/usr/bin", "/bin"))


def test_months_that_ended_long_ago_leave_for_files(home, old):
    before = rows()
    made = archive(home)
    assert [each.part for each in made] == old
    assert [each.rows for each in made] == [1, 2]
    assert (made[0].since, made[0].until) == (None, this_month(-4))
    assert (made[1].since, made[1].until) == (this_month(-4), this_month(-3))
    assert not set(old) & set(tables())
    left = rows()
    assert left == [row for row in before if row[-1] >= this_month(-3)] != before
    [late] = written(home, old[0])
    assert (late["entity_id"], late["created_at"]) == ("1", "2020-02-29 23:59:59.999999+00")
    first, second = written(home, old[1])
    assert (first["reason"], json.loads(first["new_values"])["note"]) == (ODD, ODD)
    assert (second["reason"], second["user_id"]) == ("", "")
    path = path_of(home, old[1])
    about = json.loads(files.beside(path).read_text())
    digest = subprocess.run(["sha256sum", str(path)], capture_output=True, text=True, check=True)
    assert digest.stdout.split()[0] == about["sha256"]
    assert (about["rows"], about["size"]) == (2, path.stat().st_size)
    assert path.stat().st_mode & 0o777 == 0o600
    assert archive(home) == []


def test_what_is_not_old_enough_stays(home, old):
    assert archive(home, kept=0) == []
    assert [each.part for each in archive(home, kept=4)] == old[:1]
    assert names()[0] == old[1]


def test_files_come_back_with_the_same_rows(home, old):
    before = rows()
    archive(home)
    for part in old:
        returning.restore(home, path_of(home, part).name, encryption.keys())
    assert rows() == before
    assert names()[:2] == old
    with pytest.raises(RestoreRefused, match="is there already"):
        returning.restore(home, str(path_of(home, old[0])), encryption.keys())
    shape_refuses(old[1])
    # what was put back is looked at for 30 days, and then leaves without being written again
    assert archive(home) == []
    noted = json.dumps({"restored_at": (datetime.now(UTC) - 31 * DAY).isoformat()})
    sql.execute(f"COMMENT ON TABLE months.{old[1]} IS '{noted}'")
    stamp = path_of(home, old[1]).stat().st_mtime_ns
    assert [each.part for each in archive(home)] == [old[1]]
    assert path_of(home, old[1]).stat().st_mtime_ns == stamp
    assert AuditLog.objects.filter(entity_id=2).count() == 0


def shape_refuses(part: str) -> None:
    for statement in (f"DELETE FROM months.{part}", f"TRUNCATE months.{part}"):
        with pytest.raises(Exception, match="audit_logs is append-only"):
            sql.execute(statement)


def kill_at(number: int) -> Callable[[str], None]:
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == number:
            raise Killed(text)

    return say


# five of each month: detached, append-only, written, read back, dropped
@pytest.mark.parametrize("step", range(1, 11))
def test_killed_after_any_step_nothing_is_lost_and_the_next_run_goes_on(home, old, step):
    before = rows()
    with pytest.raises(Killed) as killed:
        archive(home, say=kill_at(step))
    for part in set(old) - set(tables()):  # what is not in a table is whole in a file
        assert files.read(path_of(home, part)).part == part
    for part in set(tables()) & set(old):
        if "append-only" in str(killed.value) and part in str(killed.value):
            shape_refuses(part)
    archive(home)
    assert not set(old) & set(tables())
    for part in old:
        returning.restore(home, path_of(home, part).name, encryption.keys())
    assert rows() == before
    assert (
        sorted(path.suffix for path in (home / "archive").iterdir()) == [".json"] * 2 + [".zst"] * 2
    )


def test_preflight_says_what_is_half_done(home, old):
    [line] = [each for each in LINES if each.name == "months"]
    with pytest.raises(Killed):
        archive(home, say=kill_at(1))
    [verdict] = walk([line])
    [fault] = verdict.faults
    assert fault.said.startswith(f"months.{old[0]} has left audit_logs")
    assert fault.remedy == "python manage.py archive_audit"
    assert run()[-1] == "1 months archived, 1 rows"
    [verdict] = walk([line])
    assert verdict.passes


def test_what_the_disk_may_not_hold_stays_in_sight(home, old, monkeypatch):
    monkeypatch.setattr(dumping, "FREE_LEAST", 2**60)
    with pytest.raises(BackupFailed, match="it stays where it is"):
        archive(home)
    assert names()[:2] == old


@pytest.mark.processes
@pytest.mark.patient
def test_killed_as_a_process_while_it_waits_for_a_reader(home, old, tmp_path):
    before = rows()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM audit_logs")
        command = ("manage.py", "archive_audit", "--kept-months", "2")
        with process(*command, log=tmp_path / "log", BACKUP_DIR=str(home)) as started:
            wait_for(lambda: sql.fetch(DETACHING), seconds=60)
            started.send_signal(signal.SIGKILL)
            started.wait()
    wait_for(lambda: not sql.fetch(DETACHING), seconds=60)
    wait_for(lambda: not sql.fetch(HELD), seconds=60)
    assert [each.rows for each in archive(home)] == [1, 2]
    for part in old:
        returning.restore(home, path_of(home, part).name, encryption.keys())
    assert rows() == before


# pg_stat_activity stands still within a transaction
DETACHING = "SELECT FROM pg_locks WHERE locktype = 'virtualxid' AND NOT granted"
HELD = f"SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = {server.LOCK}::bigint::oid"


def test_killed_while_it_writes(home, old):
    def progress(percent: int) -> None:
        raise Killed

    before = rows(f"months.{old[0]}")
    with pytest.raises(Killed):
        archive(home, progress=progress)
    assert rows(f"months.{old[0]}") == before
    assert list((home / "archive").iterdir()) == []
    assert [each.rows for each in archive(home)] == [1, 2]


def test_killed_between_the_file_and_its_description(home, old):
    with pytest.raises(Killed):
        archive(home, say=kill_at(3))
    path = path_of(home, old[0])
    about, stamp = files.beside(path), path.stat().st_mtime_ns
    about.unlink()
    said: list[str] = []
    archive(home, say=said.append)
    assert f"{path.name}, which a run that was killed left, is whole" in said
    assert path.stat().st_mtime_ns == stamp
    assert files.read(path).rows == 1


def test_a_file_that_is_not_the_month_s_is_not_written_over(home, old):
    (home / "archive").mkdir()
    path = files.place_of(home / "archive", old[0], encrypted=False)
    path.write_bytes(b"somebody's")
    with pytest.raises(Unreadable, match=r"Move .* away, and run it again"):
        archive(home)
    assert path.read_bytes() == b"somebody's"
    assert old[0] in tables()
    path.rename(home / "elsewhere")
    assert [each.part for each in archive(home)] == old


@pytest.mark.parametrize("harm", [lambda b: b[:-1], lambda b: b[:30] + b"\0" + b[31:]])
def test_a_file_that_went_bad_is_noticed_before_anything_is_dropped(home, old, harm):
    with pytest.raises(Killed):
        archive(home, say=kill_at(3))
    path = path_of(home, old[0])
    whole = path.read_bytes()
    path.write_bytes(harm(whole))
    with pytest.raises(Unreadable):
        archive(home)
    assert old[0] in tables()
    path.write_bytes(whole)
    assert len(archive(home)) == 2
    path.write_bytes(harm(whole))
    with pytest.raises(Unreadable):
        returning.restore(home, str(path), encryption.keys())
    assert old[0] not in tables()


def test_a_whole_file_of_other_rows_is_no_archive_of_the_month(home, old):
    with pytest.raises(Killed):
        archive(home, say=kill_at(3))
    path = path_of(home, old[0])
    plain = zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read()
    body = zstandard.ZstdCompressor().compress(plain.replace(b"order.paid", b"order.sent"))
    path.write_bytes(body)
    said = json.loads(files.beside(path).read_text())
    said |= {"size": len(body), "sha256": hashlib.sha256(body).hexdigest()}
    files.beside(path).write_text(json.dumps(said))
    with pytest.raises(Unreadable, match="are not those that were written"):
        archive(home)
    assert old[0] in tables()


def test_rows_that_came_after_the_file_keep_the_table(home, old):
    with pytest.raises(Killed):
        archive(home, say=kill_at(3))
    sql.execute(
        f"INSERT INTO months.{old[0]} ({COLUMNS}) SELECT 1000000 + {COLUMNS} FROM months.{old[0]}"
    )
    with pytest.raises(Unreadable, match="has 2 rows that are not the 1 of"):
        archive(home)
    assert old[0] in tables()


def test_a_reader_s_transaction_is_waited_for_and_the_next_run_ends_what_began(
    home, old, monkeypatch
):
    monkeypatch.setattr(leaving, "PATIENCE", "300ms")
    holds, done = threading.Event(), threading.Event()

    def read() -> None:
        with transaction.atomic():
            sql.fetch("SELECT count(*) FROM audit_logs")
            holds.set()
            done.wait(30)
        connections.close_all()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert holds.wait(30)
        with pytest.raises(BackupFailed, match="leaves with the next run"):
            archive(home)
        insert(this_month(), 4)  # others do not wait
        assert old[0] not in names()  # nor do they see the month
        assert months.make_ahead(4) == []  # the reader is in the way, not the month that leaves
    finally:
        done.set()
        reader.join(30)
    assert months.make_ahead(4) == [name(this_month(4))]
    assert [each.part for each in archive(home)] == old


def test_entries_are_written_and_read_meanwhile(home, old):
    stop = threading.Event()
    written = [0]
    failed: list[Exception] = []

    def write() -> None:
        try:
            while not stop.is_set():
                insert(this_month(), 5)
                AuditLog.objects.filter(entity_id=5).count()
                written[0] += 1
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        archive(home)
        for part in old:
            returning.restore(home, path_of(home, part).name, encryption.keys())
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failed == []
    assert AuditLog.objects.filter(entity_id=5).count() == written[0] > 0


def test_archives_are_encrypted_where_backups_are(home, old, settings, tmp_path):
    key = tmp_path / "key"
    text, public = encryption.new_key()
    key.write_text(text)
    key.chmod(0o600)
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [public]
    with pytest.raises(BackupFailed, match="cannot be read back without a key"):
        archive(home)
    assert names()[:2] == old
    settings.BACKUP_ENCRYPTION_KEY_FILE = str(key)
    before = rows()
    archive(home)
    path = path_of(home, old[1])
    assert path.suffix == ".age"
    assert path.read_bytes().startswith(b"age-encryption.org/")
    settings.BACKUP_ENCRYPTION_KEY_FILE = ""
    with pytest.raises((Unreadable, BackupFailed)):
        returning.restore(home, str(path), encryption.keys())
    settings.BACKUP_ENCRYPTION_KEY_FILE = str(key)
    for part in old:
        returning.restore(home, path_of(home, part).name, encryption.keys())
    assert rows() == before


def test_a_backup_and_an_archive_are_not_made_at_once(home, old):
    with leaving.alone(home), pytest.raises(Busy):
        making.make(home, encryption.keys())
    with leaving.alone(home), pytest.raises(Busy):
        archive(home)


# The command, and the clock


def run(*arguments: str) -> list[str]:
    said = StringIO()
    call_command("archive_audit", *arguments, stdout=said)
    return said.getvalue().splitlines()


def test_the_command(home, old):
    assert run("--dry-run", "--kept-months", "2") == [f"would archive {part}" for part in old]
    assert names()[:2] == old
    assert run() == ["0 months archived, 0 rows"]
    said = run("--kept-months", "2")
    assert f"{old[1]} is dropped" in said
    assert said[-1] == "2 months archived, 3 rows"
    file = path_of(home, old[1]).name
    assert run("--restore", file, "--dry-run") == [f"would put back {old[1]}: 2 rows"]
    assert run("--restore", file)[-1] == f"{old[1]} is attached"
    with pytest.raises(CommandError, match=r"There is no archive nothing\.zst"):
        run("--restore", "nothing.zst")
    with pytest.raises(CommandError, match="0 or more"):
        run("--kept-months", "-1")


def work() -> Job:
    with transaction.atomic():
        job = jobs.enqueue("monitoring.archive_audit")
    jobs.run(job)
    return Job.objects.get(pk=job)


def test_the_nightly_job(home, old, settings, caplog):
    assert work().state == "done"
    assert names()[:2] == old  # AUDIT_KEPT_MONTHS is 0
    settings.AUDIT_KEPT_MONTHS = 2
    with leaving.alone(home), caplog.at_level(logging.WARNING):
        assert work().state == "done"
    assert names()[:2] == old
    assert "audit.not_archived" in {each.message for each in caplog.records}
    assert work().state == "done"
    assert not set(old) & set(tables())
    settings.BACKUP_DIR = ""
    assert work().state == "done"
