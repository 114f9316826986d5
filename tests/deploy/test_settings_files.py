"""PostgreSQL's and Redis's files: the servers start with them, obey them, and each line says why."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import psycopg
import pytest
import redis

from deploy.local import postgres, redis_server
from deploy.local.accounts import give, make_home, server_account
from deploy.local.files import LAYOUT
from deploy.local.services import ephemeral_home
from tests.processes import RedisServer, free_port

pytestmark = [pytest.mark.processes, pytest.mark.patient]

CONF = LAYOUT.checkout / "deploy" / "postgresql" / "khaacho.conf"
REDIS = LAYOUT.checkout / "deploy" / "redis"


@pytest.fixture(scope="module")
def server() -> Iterator[psycopg.Connection]:
    with ephemeral_home("conf") as home:
        account = server_account(home)
        make_home(home, account)
        conf = home / "khaacho.conf"
        conf.write_text(CONF.read_text())
        give(conf, account)
        told = {"config_file": str(conf), "listen_addresses": ""}
        binaries = postgres.find_or_install()
        url = postgres.start(home, binaries, account, durable=True, tied=True, settings=told)
        with psycopg.connect(url, autocommit=True) as connection:
            yield connection


def test_postgresql_takes_every_line(server: psycopg.Connection) -> None:
    wrong = server.execute(
        "SELECT name, error FROM pg_file_settings WHERE error IS NOT NULL"
    ).fetchall()
    read = server.execute(
        "SELECT count(*) FROM pg_file_settings WHERE sourcefile LIKE %s", ["%khaacho.conf"]
    )
    lines = [line for line in CONF.read_text().splitlines() if re.match(r"[a-z]", line)]

    assert wrong == []
    assert read.fetchone() == (len(lines),)
    ignored = server.execute("SELECT name FROM pg_file_settings WHERE NOT applied").fetchall()
    assert ignored == []


def test_postgresql_does_as_it_is_told(server: psycopg.Connection) -> None:
    def show(name: str) -> str:
        row = server.execute(f"SHOW {name}").fetchone()
        assert row
        return str(row[0])

    assert {
        name: show(name)
        for name in ("jit", "fsync", "wal_level", "archive_mode", "max_connections")
    } == {
        "jit": "off",
        "fsync": "on",
        "wal_level": "replica",
        "archive_mode": "on",
        "max_connections": "100",
    }
    server.execute("CREATE EXTENSION pg_stat_statements")
    assert server.execute("SELECT count(*) >= 0 FROM pg_stat_statements").fetchone() == (True,)


def test_every_line_of_postgresql_says_why() -> None:
    lines = [line for line in CONF.read_text().splitlines() if re.match(r"[a-z]", line)]

    assert len(lines) > 50
    assert [line for line in lines if not re.search(r" # (\(size\) )?\w.{5,}", line)] == []


@pytest.mark.parametrize(("name", "policy"), [("queues", "noeviction"), ("cache", "allkeys-lfu")])
def test_redis_starts_with_its_file_and_evicts_only_what_may_go(
    name: str, policy: str, tmp_path: Path
) -> None:
    redis_server.find_or_install()
    conf = tmp_path / f"{name}.conf"
    conf.write_text((REDIS / f"{name}.conf").read_text())
    server = RedisServer(free_port())
    # RedisServer's own options come first, the file's by --include win where both say something.
    server.start("--include", str(conf))
    try:
        client: redis.Redis = server.client
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": policy}
        assert client.config_get("maxmemory") == {"maxmemory": str(256 * 1024**2)}
    finally:
        server.stop()


@pytest.mark.parametrize("name", ["queues", "cache"])
def test_redis_has_a_reason_above_each_line(name: str) -> None:
    lines = (REDIS / f"{name}.conf").read_text().splitlines()

    assert [
        line
        for before, line in pairwise(lines)
        if re.match(r"[a-z]", line) and not before.startswith("# ")
    ] == []
