"""The connection beside the pool is kept while somebody looks around, and ended by the server afterwards."""

import pytest
from django.core.signals import request_finished
from django.db import close_old_connections, connections

from monitoring.database import access

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])

PID = "SELECT pg_backend_pid()"


@pytest.fixture
def requests_end():
    """Do what the end of a request does, which tests' own connections are spared from."""
    connections["monitor"].close()
    yield lambda: close_old_connections(signal=request_finished)
    connections["monitor"].close()


def test_two_pages_are_read_by_one_session(requests_end):
    first = access.fetch(PID)
    requests_end()
    assert access.fetch(PID) == first


def test_nobody_uses_it_for_longer_than_a_minute(requests_end):
    first = access.fetch(PID)
    connections["monitor"].close_at -= 60
    requests_end()
    assert access.fetch(PID) != first
    assert access.fetch("SHOW idle_session_timeout") == [("1min",)]


def test_one_that_the_server_ended_is_replaced(requests_end):
    [(first,)] = access.fetch(PID)
    with connections["default"].cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
    requests_end()
    assert access.fetch(PID) != [(first,)]
