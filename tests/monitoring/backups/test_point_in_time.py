"""The cluster is lost, and comes back as it was at a marked second."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from deploy.local import postgres
from deploy.local.accounts import server_account
from deploy.local.services import ephemeral_home
from tests.monitoring.database.servers import programs
from tests.processes import ROOT, wait_for

pytestmark = [pytest.mark.processes, pytest.mark.patient]
BIN = (programs() / "postgres").resolve().parent
SCRIPTS = ROOT / "deploy" / "postgres"


@dataclass
class Cluster:
    """A server that archives its WAL, all in one directory; scripts run as the server's account."""

    home: Path
    owner: dict[str, object]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **postgres.ENVIRON,
            "PATH": f"{BIN}:{postgres.ENVIRON['PATH']}",
            "PGHOST": str(self.home),
            "PGUSER": postgres.SUPERUSER,
            "PGDATABASE": "postgres",
        }

    def run(self, *command: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(part) for part in command],
            cwd="/",
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            **self.owner,
        )

    def script(self, name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        return self.run(self.home / name, *arguments)

    def must(self, *command: object) -> str:
        done = self.run(*command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def start(self, data: Path) -> None:
        log = self.home / "log"
        # output of pg_ctl's server must not hold the pipe of this test
        self.must(BIN / "pg_ctl", "-D", data, "-w", "-l", log, "start")

    def stop(self, data: Path) -> None:
        self.run(BIN / "pg_ctl", "-D", data, "-m", "immediate", "stop")

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.home), user=postgres.SUPERUSER, dbname="postgres", autocommit=True
        )


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with ephemeral_home("testing") as made:
        home = Path(made)
        account = server_account(home)
        owner = {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
        for script in SCRIPTS.glob("*.sh"):
            shutil.copy(script, home)
        for name in ("base", "wal"):
            (home / name).mkdir()
        if account:
            for path in (home, *home.rglob("*")):
                os.chown(path, account.uid, account.gid)
        found = Cluster(home, owner)
        data = home / "pg"
        found.must(
            *(BIN / "initdb", "-D", data, "-U", postgres.SUPERUSER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
        )
        with_archive = f"""
listen_addresses = ''
unix_socket_directories = '{home}'
archive_mode = on
archive_command = '{home}/archive_wal.sh "%p" "%f" {home}/wal'
"""
        with (data / "postgresql.conf").open("a") as file:
            file.write(with_archive)
        found.start(data)
        try:
            yield found
        finally:
            for each in home.glob("pg*"):
                found.stop(each)


def archived(session: psycopg.Connection, wal: str) -> bool:
    row = session.execute("SELECT last_archived_wal >= %s FROM pg_stat_archiver", [wal]).fetchone()
    return bool(row and row[0])


def one(session: psycopg.Connection, statement: str) -> str:
    row = session.execute(statement).fetchone()
    assert row
    return str(row[0])


def test_back_to_the_marked_second(cluster: Cluster):
    bases, wal = cluster.home / "base", cluster.home / "wal"
    with cluster.connect() as session:
        session.execute("CREATE TABLE sales (what text)")
        session.execute("INSERT INTO sales VALUES ('before the base backup')")
        said = cluster.script("base_backup.sh", bases, wal)
        assert said.returncode == 0, said.stderr
        assert "is verified" in said.stdout
        assert "kept the WAL from 0000000100000000" in said.stdout
        session.execute("SELECT pg_sleep(1.1)")  # the name of a base backup has whole seconds
        session.execute("INSERT INTO sales VALUES ('चामल, after it')")
        marked = one(session, "SELECT clock_timestamp()")
        session.execute("INSERT INTO sales VALUES ('by mistake')")
        session.execute("DELETE FROM sales WHERE what LIKE 'before%'")
        last = one(session, "SELECT pg_walfile_name(pg_current_wal_lsn())")
        session.execute("SELECT pg_switch_wal()")
        wait_for(lambda: archived(session, last), seconds=60)

    cluster.stop(cluster.home / "pg")
    shutil.rmtree(cluster.home / "pg")

    new = cluster.home / "pg_new"
    done = cluster.script("restore_to.sh", marked, new, bases, wal)
    assert done.returncode == 0, done.stderr
    cluster.start(new)
    with cluster.connect() as session:
        wait_for(lambda: one(session, "SELECT pg_is_in_recovery()") == "False", seconds=60)
        rows = session.execute("SELECT what FROM sales").fetchall()
        assert rows == [("before the base backup",), ("चामल, after it",)]
        session.execute("INSERT INTO sales VALUES ('life goes on')")

    again = cluster.script("restore_to.sh", marked, new, bases, wal)
    assert (again.returncode, "is not empty" in again.stderr) == (1, True)
    early = cluster.script(
        "restore_to.sh", "2020-01-01 00:00:00+00", cluster.home / "pg_x", bases, wal
    )
    assert (early.returncode, "no base backup in" in early.stderr) == (1, True)
    odd = cluster.script("restore_to.sh", "soon", cluster.home / "pg_x", bases, wal)
    assert (odd.returncode, "TIME is not understood" in odd.stderr) == (1, True)


def test_only_what_is_needed_is_kept(cluster: Cluster):
    bases, wal = cluster.home / "base", cluster.home / "wal"
    with cluster.connect() as session:
        for _ in range(3):
            session.execute("SELECT pg_sleep(1.1)")
            said = cluster.script("base_backup.sh", bases, wal, 2)
            assert said.returncode == 0, said.stderr
        assert len(list(bases.iterdir())) == 2
        first = said.stdout.split("kept the WAL from ")[1].split()[0]
        kept = sorted(path.name for path in wal.iterdir())
        assert min(name for name in kept if len(name) == len(first)) >= first
        assert not any(".partial" in name for name in kept)
    [newest] = sorted(bases.iterdir())[-1:]
    (newest / "global" / "pg_control").write_bytes(b"x")
    damaged = cluster.script(
        "restore_to.sh", "2099-01-01 00:00:00+00", cluster.home / "pg_x", bases, wal
    )
    assert (damaged.returncode, "is damaged" in damaged.stderr) == (1, True)
    assert not (cluster.home / "pg_x").exists()


def test_a_file_of_wal_is_never_overwritten(tmp_path: Path):
    source, archive = tmp_path / "file", tmp_path / "wal"
    archive.mkdir()
    source.write_bytes(b"one")

    def archive_it(where: Path = archive) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [SCRIPTS / "archive_wal.sh", source, "0001", where],
            capture_output=True,
            text=True,
            check=False,
        )

    assert archive_it().returncode == 0
    assert archive_it().returncode == 0  # the server asks again after a crash
    source.write_bytes(b"two")
    refused = archive_it()
    assert (refused.returncode, "is another file: not overwritten" in refused.stderr) == (1, True)
    assert (archive / "0001").read_bytes() == b"one"
    assert [path.name for path in archive.iterdir()] == ["0001"]
    unmounted = archive_it(tmp_path / "unmounted")
    assert (unmounted.returncode, "is its disk mounted?" in unmounted.stderr) == (1, True)
