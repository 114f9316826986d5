"""PostgreSQL and Redis for a command: the given ones, else private ones."""

import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import psycopg.conninfo
import redis
from psycopg import sql

from deploy.local import postgres, redis_server
from deploy.local.accounts import make_home, server_account
from deploy.local.files import SetupError, say
from deploy.local.processes import identify

WAIT_SECONDS = 30.0  # for a given server that is still coming up
TMPFS = Path("/dev/shm")  # noqa: S108 - our own directory in it is made by mkdtemp
TMPFS_NEEDS = 1 << 30  # bytes; a container's 64 MB would fill up mid-test
SHORT_BASE = 30  # bytes; what follows, and a socket's name, must fit into the kernel's 107


@dataclass(frozen=True)
class Services:
    """Where PostgreSQL and Redis are."""

    database_url: str
    redis_url: str


def wait_for_database(url: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until the given PostgreSQL answers.

    Raises SetupError naming DATABASE_URL, also for one that is too old.
    """
    major = 0

    def ask() -> str:
        nonlocal major
        try:
            with psycopg.connect(url, connect_timeout=5) as connection:
                major = connection.info.server_version // 10_000
        except psycopg.ProgrammingError as error:
            raise SetupError(f"DATABASE_URL cannot be read: {error}") from None
        except psycopg.OperationalError as error:
            return str(error)
        return ""

    _wait_for("DATABASE_URL", ask, seconds)
    if major < postgres.OLDEST_MAJOR:
        raise SetupError(f"DATABASE_URL is PostgreSQL {major}; {postgres.OLDEST_MAJOR} is needed")


def wait_for_redis(url: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait until the given Redis answers; raise SetupError naming REDIS_URL."""
    try:
        client = redis_server.connect(url, seconds=5)
    except ValueError as error:
        raise SetupError(f"REDIS_URL cannot be read: {error}") from None

    def ask() -> str:
        try:
            client.ping()
        except redis.RedisError as error:
            return str(error)
        return ""

    with client:
        _wait_for("REDIS_URL", ask, seconds)


def _wait_for(name: str, ask: Callable[[], str], seconds: float) -> None:
    """Repeat the question until its answer, what is wrong, is empty; say once that we wait."""
    deadline, waited = time.monotonic() + seconds, False
    while wrong := ask():
        if time.monotonic() > deadline:
            raise SetupError(f"{name} is set, but: {wrong}")
        if not waited:
            say(f"waiting for the server that {name} names")
            waited = True
        time.sleep(0.3)


@contextmanager
def scratch_database(url: str) -> Iterator[str]:
    """Give the URL of a new, empty database on the same server, and drop it afterwards.

    What an earlier command left because it was killed is dropped first. The role may create databases.
    """
    name = f"{psycopg.conninfo.conninfo_to_dict(url)['dbname']}_scratch"
    drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(drop)
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield psycopg.conninfo.make_conninfo(url, dbname=name)
        finally:
            connection.execute(drop)


def bring_up(home: Path, environ: Mapping[str, str], *, durable: bool) -> Services:
    """Return the servers that DATABASE_URL and REDIS_URL name, and start what they do not.

    Servers that are not durable end when this process does.
    """
    database_url, redis_url = environ.get("DATABASE_URL", ""), environ.get("REDIS_URL", "")
    if database_url:
        wait_for_database(database_url)
    if redis_url:
        wait_for_redis(redis_url)
    if database_url and redis_url:
        return Services(database_url, redis_url)
    # Installing PostgreSQL may make the account that both then run as.
    binaries = None if database_url else postgres.find_or_install()
    program = None if redis_url else redis_server.find_or_install()
    account = server_account(home)
    make_home(home, account)
    if binaries:
        if not postgres.has_cluster(home, binaries):
            postgres.obtain_hypopg(binaries)
        database_url = postgres.start(home, binaries, account, durable=durable)
    if program:
        redis_url = redis_server.start(home, program, account, durable=durable)
    return Services(database_url, redis_url)


def shut_down(home: Path) -> bool:
    """End the private servers of this directory; return whether any ran."""
    stopped = [redis_server.daemon(home).stop(), postgres.daemon(home).stop()]
    return any(stopped)


@contextmanager
def ephemeral(
    environ: Mapping[str, str], purpose: str, needs: int = TMPFS_NEEDS
) -> Iterator[Services]:
    """Give servers for one command, in memory with room for `needs` bytes, and leave nothing behind."""
    with ephemeral_home(purpose, needs) as home:
        yield bring_up(home, environ, durable=False)


@contextmanager
def ephemeral_home(purpose: str, needs: int = TMPFS_NEEDS) -> Iterator[Path]:
    """Give a directory for servers; end those in it and remove it afterwards.

    What an earlier command of this purpose left because it was killed is removed first.
    """
    base, prefix = _ephemeral_base(needs), f"khaacho-{purpose}-{os.geteuid()}"
    for leftover in base.glob(f"{prefix}-*"):
        _sweep(leftover)
    us = identify(os.getpid())
    assert us is not None
    home = Path(tempfile.mkdtemp(prefix=f"{prefix}-{us.pid}-{us.started}-", dir=base))
    try:
        yield home
    finally:
        _remove(home)


def _ephemeral_base(needs: int) -> Path:
    if os.access(TMPFS, os.W_OK) and shutil.disk_usage(TMPFS).free >= needs:
        return TMPFS
    chosen = Path(tempfile.gettempdir())
    return chosen if len(os.fsencode(chosen)) <= SHORT_BASE else Path("/tmp")  # noqa: S108


def _sweep(home: Path) -> None:
    """Remove the directory if the process that its name tells is gone."""
    owner = re.search(r"-(\d+)-(\d+)-[^-]+$", home.name)
    if owner:
        now = identify(int(owner[1]))
        if now is None or now.started != int(owner[2]):
            _remove(home)


def _remove(home: Path) -> None:
    shut_down(home)
    shutil.rmtree(home, ignore_errors=True)
