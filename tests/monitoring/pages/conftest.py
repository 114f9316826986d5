"""Who looks at the pages about the database, and statements for PostgreSQL to count."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connection, connections
from django.test import Client

from khaacho.models import User
from tests.admin.conftest import groups, member, signed_in  # noqa: F401 - fixtures


@pytest.fixture
def keeper(member: Callable[[str], User]) -> Client:  # noqa: F811 - the fixture
    """A client of one of the group Database."""
    return signed_in(member("Database"))


@pytest.fixture
def no_statistics() -> Iterator[None]:
    """Take pg_stat_statements out of the test's database, and bring it back."""
    with connection.cursor() as cursor:
        cursor.execute("DROP EXTENSION pg_stat_statements")
    yield
    with connection.cursor() as cursor:
        cursor.execute("CREATE EXTENSION pg_stat_statements")


@pytest.fixture
def monitor_settings() -> Iterator[dict[str, Any]]:
    """The settings of the monitoring's connection, to be changed: they hold for the next page."""
    settings = connections["monitor"].settings_dict
    before = dict(settings)
    connections["monitor"].close()
    yield settings
    connections["monitor"].close()
    settings.clear()
    settings.update(before)


@pytest.fixture
def stranger() -> Iterator[psycopg.Connection[Any]]:
    """A connection of somebody else, in a transaction that ends with the test."""
    connection.ensure_connection()
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SET idle_in_transaction_session_timeout = 0")
        other.commit()
        yield other
        other.rollback()
