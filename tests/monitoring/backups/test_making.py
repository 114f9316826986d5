"""A backup is made whole from one snapshot, or nothing of it is left."""

import contextlib
import hashlib
import json
import os
import resource
import shutil
import subprocess
import threading
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from django.core.management import CommandError
from django.db import connections
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from monitoring.backups import encryption, making, shelf
from monitoring.backups import server as servers
from monitoring.backups.faults import BackupFailed, Busy, NotConfigured
from monitoring.backups.manifest import read
from monitoring.models import Backup
from tests.monitoring.backups.conftest import HOLD
from tests.monitoring.backups.making import directory, file_of, make, names, run
from tests.processes import process, wait_for

pytestmark = pytest.mark.django_db(transaction=True)


def counts(session: psycopg.Connection) -> tuple[int, int, Decimal]:
    """Return rows of the ledger and of the odd table, and the sum of the ledger."""
    row = session.execute(
        'SELECT (SELECT count(*) FROM credit_ledgers), (SELECT count(*) FROM "खाता बही"),'
        " (SELECT sum(amount) FROM credit_ledgers)"
    ).fetchone()
    assert row
    return row


def test_a_backup_is_a_file_with_its_manifest(site, shop):
    made = make()
    assert names() == [f"{made.name}.dump.zst", f"{made.name}.json"]
    assert shelf.NAME.fullmatch(made.name)
    assert timezone.now() - shelf.date_of(made.name) < timedelta(seconds=60)
    body = file_of(made).read_bytes()
    assert (len(body), hashlib.sha256(body).hexdigest()) == (made.size, made.sha256)
    assert file_of(made).stat().st_mode & 0o777 == 0o600
    ledger, odd, total = counts(shop)
    assert (ledger, odd) == (4, 400)
    assert made.tables["public.credit_ledgers"].rows == 4
    assert made.tables["public.credit_ledgers"].sums["amount"] == str(total)
    assert made.tables["public.खाता बही"].sums == {"जम्मा रकम": "100250.00"}
    assert made.tables["public.parted_1"].rows == 100
    assert "public.parted" not in made.tables
    assert ("monitoring", made.migrations["monitoring"]) in MigrationLoader(None).graph.leaf_nodes()
    assert made.server_version // 10_000 == shop.info.server_version // 10_000
    assert read(shelf.manifest_path(file_of(made))) == made
    row = Backup.objects.get()
    assert (row.name, row.state, row.size, row.sha256) == (
        made.name,
        "done",
        made.size,
        made.sha256,
    )
    assert row.row_count == sum(table.rows for table in made.tables.values())


def test_the_manifest_is_of_the_snapshot_while_the_site_writes(site, server):
    """Rows come in all the while; what was counted is what was dumped, and neither is what is there now."""
    stop, begun = threading.Event(), threading.Event()

    def write():
        with server.connect(site) as session:
            while not stop.is_set():
                session.execute('INSERT INTO "खाता बही" ("जम्मा रकम") VALUES (0.25)')
                session.execute(
                    "UPDATE users SET name = 'सीता ' || random() WHERE id = (SELECT min(id) FROM users)"
                )
                begun.set()

    writers = [threading.Thread(target=write) for _ in range(2)]
    for writer in writers:
        writer.start()
    try:
        begun.wait(10)
        made = make()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    with server.connect(site) as session:
        after = counts(session)[1]
    assert 400 < made.tables["public.खाता बही"].rows < after
    assert "is verified" in run("verify_backup")


def test_two_at_once_are_refused_whatever_their_directory(site, server, tmp_path):
    with server.connect(site) as holder, background_backup(site) as first:
        with holder.transaction():
            holder.execute(HOLD)
            first.start()
            wait_for(lambda: any(".partial" in name for name in names()))
            with pytest.raises(Busy, match="is under way in"):
                make()
            with pytest.raises(Busy, match=f"restore or drill of {site} is under way"):
                making.make(tmp_path, encryption.keys())
            assert len(names()) == 1
        first.join()
    assert len(names()) == 2
    assert list(tmp_path.glob("khaacho*")) == []


@contextlib.contextmanager
def background_backup(site):
    def work():
        make()
        connections.close_all()

    thread = threading.Thread(target=work)
    yield thread
    thread.join()


@pytest.mark.processes
@pytest.mark.patient
def test_what_a_killed_one_left_is_removed_by_the_next(site, server, settings):
    settings_of_process = {
        "BACKUP_DIR": settings.BACKUP_DIR,
        "BACKUP_DATABASE_URL": settings.BACKUP_DATABASE_URL,
    }
    with server.connect(site) as holder:
        with holder.transaction():
            holder.execute(HOLD)
            with process("manage.py", "backup", **settings_of_process) as killed:
                wait_for(lambda: any(".partial" in name for name in names()), seconds=60)
                killed.kill()
                killed.wait()
        left = names()
        assert len(left) == 1
        assert ".partial" in left[0]
        wait_for(lambda: not others(holder, site), seconds=60)
    dead = Backup.objects.get()
    assert dead.state == "running"
    said = []
    made = make(say=said.append)
    assert said[0] == f"removed {left[0]}, which a backup that was killed had left"
    assert names() == [f"{made.name}.dump.zst", f"{made.name}.json"]
    dead.refresh_from_db()
    assert (dead.state, dead.error.split(":")[0]) == ("failed", "It ended without a word")


def others(session, site):
    return session.execute(
        "SELECT 1 FROM pg_stat_activity WHERE datname = %s AND pid <> pg_backend_pid()", [site]
    ).fetchall()


def test_a_full_disk_leaves_nothing_and_says_so(site):
    """A limit of the size of files stands for the disk: the same place in the code, without root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_up(percent):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))

    older = make()
    try:
        with pytest.raises(BackupFailed, match=r"is full\. The unfinished file was removed"):
            make(progress=fill_up)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names() == [f"{older.name}.dump.zst", f"{older.name}.json"]
    assert [row.state for row in Backup.objects.order_by("id")] == ["done", "failed"]
    assert "make room" in Backup.objects.get(state="failed").error


@pytest.fixture
def small_disk(tmp_path):
    """A file system of its own of 100 MB, in memory."""
    if os.geteuid():
        pytest.skip("only root may mount")
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", disk], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("nothing may be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_disk_that_others_fill_meanwhile(site, small_disk, settings, tmp_path, encrypted):
    settings.BACKUP_DIR = str(small_disk)
    if encrypted:
        run("make_backup_key", str(tmp_path / "key"))
        settings.BACKUP_ENCRYPTION_KEY_FILE = str(tmp_path / "key")
    filler = small_disk / "filler"

    def fill_up(percent):
        with contextlib.suppress(OSError), filler.open("ab", buffering=0) as file:
            while True:
                file.write(b"x" * (1 << 20))

    with pytest.raises(BackupFailed, match="is full"):
        make(progress=fill_up)
    assert names() == ["filler"]
    filler.unlink()
    assert len([make().name, *names()]) == 3


def test_too_little_room_is_seen_before_anything_is_written(site, small_disk, settings):
    settings.BACKUP_DIR = str(small_disk)
    with (small_disk / "filler").open("wb") as file:
        file.write(b"x" * (60 << 20))
    with pytest.raises(BackupFailed, match=r"has 40 MB free.*Nothing was written") as refused:
        make()
    assert "may need" in refused.value.message
    assert names() == ["filler"]
    with pytest.raises(CommandError, match="40 MB free"):
        run("backup", "--dry-run")


@pytest.mark.parametrize("last_words", [["SELECT 1"], ["BEGIN"], ["BEGIN", "SELECT 1 / 0"]])
def test_the_lock_is_free_before_its_session_has_ended(site, last_words):
    """A session takes a moment to end, and who goes on at once would be told that somebody is at work."""
    place = servers.place()
    with (
        contextlib.closing(place.connect()) as first,
        contextlib.closing(place.connect()) as second,
    ):
        with contextlib.suppress(psycopg.Error), servers.locked(first, site):
            with pytest.raises(Busy), servers.locked(second, site):
                pass
            for words in last_words:
                first.execute(words)
        with servers.locked(second, site):
            assert servers.still_locked(second)
            assert not servers.still_locked(first)


def test_a_lock_that_was_lost_keeps_nothing(site, server):
    """Whoever ends the session that holds the lock lets a second backup begin: the first may not go on."""

    def end_the_holder(percent):
        with server.connect("postgres") as admin:
            admin.execute(
                "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a JOIN pg_locks l USING (pid)"
                " WHERE l.locktype = 'advisory' AND a.datname = %s",
                [site],
            )

    with pytest.raises(BackupFailed):
        make(progress=end_the_holder)
    assert names() == []


def test_without_a_directory_there_are_none(site, settings):
    settings.BACKUP_DIR = ""
    with pytest.raises(NotConfigured, match="BACKUP_DIR is not set"):
        shelf.directory()
    with pytest.raises(CommandError, match="BACKUP_DIR is not set"):
        run("backup")


def test_the_command_tells_sizes_and_forgets(site):
    old = make()
    stale = old.name.replace("_backup_20", "_backup_19")
    for suffix in (".dump.zst", ".json"):
        shutil.copy(directory() / f"{old.name}{suffix}", directory() / f"{stale}{suffix}")
    text = (directory() / f"{stale}.json").read_text().replace(old.name, stale)
    (directory() / f"{stale}.json").write_text(text)
    assert f"would forget {stale}" in run("backup", "--dry-run")
    said = run("backup", "--retention-days", "3")
    assert f"forgot {stale}" in said
    assert "s per GB)" in said
    assert len(run("backup", "--list").splitlines()) == 2
    assert len(names()) == 4


def test_an_encrypted_one_tells_nothing_without_the_key(site, settings, tmp_path):
    public = run("make_backup_key", str(tmp_path / "key")).strip()
    with pytest.raises(CommandError, match="a key is never overwritten"):
        run("make_backup_key", str(tmp_path / "key"))
    settings.BACKUP_ENCRYPTION_RECIPIENTS = [public]
    made = make()
    assert made.file.endswith(".dump.zst.age")
    assert file_of(made).read_bytes().startswith(b"age-encryption.org/v1\n")
    plain = json.loads(shelf.manifest_path(file_of(made)).read_text())
    assert plain["tables"] is None
    assert plain["sealed"].startswith("-----BEGIN AGE ENCRYPTED FILE-----")
    assert "credit_ledgers" not in json.dumps(plain)


def test_a_key_that_others_may_read_is_refused(site, settings, tmp_path):
    run("make_backup_key", str(tmp_path / "key"))
    (tmp_path / "key").chmod(0o640)
    settings.BACKUP_ENCRYPTION_KEY_FILE = str(tmp_path / "key")
    with pytest.raises(CommandError, match="chmod 600"):
        run("backup")
    settings.BACKUP_ENCRYPTION_KEY_FILE = ""
    settings.BACKUP_ENCRYPTION_RECIPIENTS = ["age1nonsense"]
    with pytest.raises(CommandError, match="number 1 is no public key"):
        run("backup")


def test_no_password_is_in_the_list_of_processes(settings, tmp_path):
    settings.BACKUP_DATABASE_URL = "postgresql://shop:s3cret@127.0.0.1:1/shop"
    place = servers.place()
    assert "s3cret" not in place.argument
    assert place.environment["PGPASSWORD"] == "s3cret"
    with pytest.raises(BackupFailed) as failed:
        making.make(tmp_path, encryption.keys())
    assert "s3cret" not in str(failed.value)
