"""Who looks at the pages about the database, and statements for PostgreSQL to count."""

from collections.abc import Callable, Iterator

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


@pytest.fixture(autouse=True)
def _monitor_closed() -> Iterator[None]:
    """Leave no connection of the monitoring to the next test."""
    yield
    connections["monitor"].close()
