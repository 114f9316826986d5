"""A second database with 100,000 orders, which the default connection of these tests points at.

Loaded once for each process that runs any of them, and dropped at the end; what a killed run left is
dropped at the next start.
"""

from collections.abc import Iterator

import pytest
from django.db import connection, connections
from pytest_django import DjangoDbBlocker

from bench import scale
from bench.scale import explain
from khaacho import sql
from tests.conftest import flush

# A catalogue that counts as big, and many vendors with short shelves.
SCALE = scale.Scale(orders=100_000, products=12_000, vendors=1_500)


def _quietly(step: str) -> None:
    """Take no notice of progress."""


def _point_at(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name


def _drop(name: str) -> None:
    with connection._nodb_cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {connection.ops.quote_name(name)} WITH (FORCE)")


@pytest.fixture(scope="session")
def big_database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[str]:
    """Copy the test database, load the trade into the copy, and yield the copy's name."""
    with django_db_blocker.unblock():
        flush()
        plain = connection.settings_dict["NAME"]
        name = f"{plain}_plans"
        connections.close_all()  # a database with a session cannot be copied
        _drop(name)
        try:
            with connection._nodb_cursor() as cursor:
                quoted = connection.ops.quote_name(name), connection.ops.quote_name(plain)
                cursor.execute("CREATE DATABASE {} TEMPLATE {}".format(*quoted))
            _point_at(name)
            scale.load(SCALE, _quietly)
            _point_at(plain)
            yield name
        finally:
            _point_at(plain)
            _drop(name)


@pytest.fixture(scope="module", autouse=True)
def _on_the_big_database(big_database: str, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Point this module at it; modules of other directories may run in between."""
    plain = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        _point_at(big_database)
    yield
    with django_db_blocker.unblock():
        # what tests rolled back is still in the indexes, and read by whoever looks there next
        sql.execute("VACUUM (INDEX_CLEANUP ON) jobs")
        _point_at(plain)


@pytest.fixture(scope="session")
def measured(big_database: str, django_db_blocker: DjangoDbBlocker) -> explain.Sizes:
    """Sizes of the big database's tables and indexes."""
    plain = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        _point_at(big_database)
        found = explain.sizes()
        _point_at(plain)
    return found
