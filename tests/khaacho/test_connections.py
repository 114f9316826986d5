"""A connection that the server ended is replaced before a request meets it; one that stands costs nothing."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psycopg
import pytest
from django.db import ProgrammingError, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test.utils import CaptureQueriesContext

from khaacho.db.base import DatabaseWrapper

POOL = {"min_size": 1, "max_size": 1, "timeout": 5}


def made(pool: dict[str, Any] | None) -> DatabaseWrapper:
    """A second connection to the test database, plain or pooled, as production has them."""
    known = connections["default"].settings_dict
    options = {**known["OPTIONS"], **({"pool": pool} if pool else {})}
    fresh = {"CONN_MAX_AGE": 0 if pool else 60, "CONN_HEALTH_CHECKS": not pool}
    return DatabaseWrapper({**known, **fresh, "OPTIONS": options}, "checked")


@pytest.fixture(params=[None, POOL], ids=["plain", "pooled"])
def database(request, db) -> Iterator[DatabaseWrapper]:
    connections["checked"] = found = made(request.param)
    yield found
    found.close()
    found.close_pool()
    del connections["checked"]


def pid(database: BaseDatabaseWrapper) -> int:
    """Do what a request does: look at the connection, run a statement, leave the connection."""
    database.close_if_unusable_or_obsolete()
    with database.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        found: int = cursor.fetchone()[0]
    if database.pool:
        database.close()
    return found


def end(backend: int, database: DatabaseWrapper) -> None:
    with psycopg.connect(**plainly(database)) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 5000)", [backend]).fetchone() == (
            True,
        )


def plainly(database: DatabaseWrapper) -> dict[str, Any]:
    given = database.get_connection_params()
    return {
        name: given[name]
        for name in ("dbname", "user", "password", "host", "port")
        if name in given
    }


def test_one_that_stands_is_used_again(database):
    assert pid(database) == pid(database)


def test_one_that_was_ended_is_replaced(database):
    first = pid(database)
    end(first, database)
    assert pid(database) != first


def test_one_that_said_something_and_stands_is_kept(database):
    """A notification makes the socket readable; then the server is asked."""
    first = pid(database)
    database.ensure_connection()
    with database.cursor() as cursor:
        cursor.execute("LISTEN shop")
    if database.pool:
        database.close()
    with psycopg.connect(**plainly(database), autocommit=True) as other:
        other.execute("NOTIFY shop")
    assert pid(database) == first


def test_looking_costs_no_statement(database):
    first = pid(database)
    with psycopg.connect(**plainly(database), autocommit=True) as other:
        pid(database)
        database.close_if_unusable_or_obsolete()
        last = other.execute("SELECT query FROM pg_stat_activity WHERE pid = %s", [first])
        assert last.fetchone() == ("SELECT pg_backend_pid()",)


def test_a_broken_transaction_is_not_usable(database):
    pid(database)
    database.set_autocommit(False)
    with pytest.raises(ProgrammingError), database.cursor() as cursor:
        cursor.execute("SELECT nothing")
    database.errors_occurred = False
    assert not database.is_usable()
    database.rollback()
    assert database.is_usable()
    database.set_autocommit(True)


def test_after_a_failure_the_server_is_asked(database):
    first = pid(database)
    database.ensure_connection()
    database.errors_occurred = True
    database.close_if_unusable_or_obsolete()
    assert not database.errors_occurred
    assert pid(database) == first


def savepoints(sent: CaptureQueriesContext) -> set[str]:
    return {each["sql"] for each in sent if "SAVEPOINT" in each["sql"]}


def test_each_transaction_names_its_savepoints_anew(database):
    with CaptureQueriesContext(database) as sent:
        for _ in range(5):
            with transaction.atomic("checked"):
                for _ in range(2):
                    with transaction.atomic("checked"), transaction.atomic("checked"):
                        pass
    words = ("SAVEPOINT", "RELEASE SAVEPOINT")
    assert savepoints(sent) == {f'{word} "s{n}"' for word in words for n in (1, 2, 3, 4)}


def test_a_savepoint_that_is_undone_takes_no_other_s_promises_with_it(database):
    """Django forgets what was to happen after the commit by the savepoint's name: none may come twice."""
    done: list[str] = []
    with transaction.atomic("checked"):
        with transaction.atomic("checked"):
            transaction.on_commit(lambda: done.append("kept"), using="checked")
        with suppress(ZeroDivisionError), transaction.atomic("checked"):
            transaction.on_commit(lambda: done.append("undone"), using="checked")
            raise ZeroDivisionError
    assert done == ["kept"]


def test_no_savepoint_outside_a_transaction(database):
    assert transaction.savepoint("checked") is None
