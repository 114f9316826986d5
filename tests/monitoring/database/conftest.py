"""The run's own server, a database of a test's own on it, and a server without pg_stat_statements."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from deploy.local.services import ephemeral_home
from tests.conftest import flush
from tests.monitoring.database.servers import Server, of_settings, server_without_the_library


@pytest.fixture(scope="session")
def server(django_db_setup: None) -> Server:
    return of_settings(connection.settings_dict)


@pytest.fixture(scope="session")
def template(server: Server, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Give a migrated database that nobody is in, to be copied: a copy itself, of the tests' own."""
    whole = connection.settings_dict["NAME"]
    name = f"{whole}_views"
    with django_db_blocker.unblock(), server.connect("postgres") as session:
        flush()
        connections.close_all()
        session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        session.execute(f"CREATE DATABASE {name} TEMPLATE {whole}")
        yield name
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def database(server: Server, template: str) -> Iterator[str]:
    """Give a migrated database of this test's own."""
    name = f"{template}_own"
    with server.connect("postgres") as session:
        session.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        session.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        yield name
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def session(server: Server, database: str) -> Iterator[psycopg.Connection]:
    with server.connect(database) as opened:
        opened.execute("SET statement_timeout = '20s'")
        yield opened


@pytest.fixture(scope="module")
def bare_server() -> Iterator[Server]:
    """Give a server on which pg_stat_statements is not preloaded."""
    with ephemeral_home("testing") as home, server_without_the_library(Path(home)) as bare:
        yield bare
