"""A shop's database of a test's own, with trade in it, and a directory for its backups."""

import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from khaacho.models import User
from tests.admin.trade import make_paid_order
from tests.conftest import flush
from tests.factories import make_user
from tests.monitoring.database.servers import Server, of_settings

# What a dump must bear besides our own: names that are not ASCII, partitions, money.
ODD = """
CREATE TABLE "खाता बही" (id bigserial PRIMARY KEY, "पसलको नाम" text, "जम्मा रकम" numeric(14,2));
INSERT INTO "खाता बही" ("पसलको नाम", "जम्मा रकम")
    SELECT 'श्री गणेश किराना ' || n, n * 1.25 FROM generate_series(1, 400) n;
CREATE TABLE parted (id int, amount numeric) PARTITION BY RANGE (id);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200);
INSERT INTO parted SELECT n, 0.01 FROM generate_series(0, 199) n;
"""
HOLD = "LOCK TABLE ONLY parted IN ACCESS EXCLUSIVE MODE"  # pg_dump waits for it; counting does not


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Server:
    return of_settings(connection.settings_dict)


@pytest.fixture(scope="session")
def template(server: Server, redis_url: str, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Give a database with two paid orders, which nobody is in, to be copied."""
    whole = connection.settings_dict["NAME"]
    name = f"{whole}_shop"
    with django_db_blocker.unblock(), server.connect("postgres") as admin:
        flush()
        make_paid_order()
        make_paid_order()
        User.objects.filter(pk=make_user().pk).update(name="सीता दाहाल")
        connections.close_all()
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {whole}")
        flush()
        connections.close_all()
    with server.connect(name) as session:
        session.execute(ODD)
        session.execute("VACUUM (FULL)")  # of what the tests before this one left in the files
    yield name
    with server.connect("postgres") as admin:
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def site(server: Server, template: str, settings, tmp_path: Path) -> Iterator[str]:
    """Give a shop's database whose backups go to a directory of this test's own."""
    name = f"{template}_own"
    with server.connect("postgres") as admin:
        _drop(admin, name)
        admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        settings.BACKUP_DATABASE_URL = server.url(name)
        settings.BACKUP_DIR = str(tmp_path / "backups")
        yield name
        _drop(admin, name)


def _drop(admin: psycopg.Connection, name: str) -> None:
    """Drop a database and what restores and drills of it have left beside."""
    found = admin.execute(
        "SELECT quote_ident(datname) FROM pg_database WHERE starts_with(datname, %s)", [name]
    ).fetchall()
    for (each,) in found:
        admin.execute(f"DROP DATABASE {each} WITH (FORCE)")


@pytest.fixture
def shop(server: Server, site: str) -> Iterator[psycopg.Connection]:
    """Give a session in the shop's database."""
    with server.connect(site) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _sigterm_as_before() -> Iterator[None]:
    """Commands end cleanly on SIGTERM; the tests' own process keeps its way."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)
