"""The pages work when the application's pool is exhausted: nothing of them waits for a connection of it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connection, connections

from monitoring.pages import beside
from monitoring.pages.framework import RANGES
from tests.monitoring.pages.reading import MENU, body, troubles, url

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


@contextmanager
def pool_of_one() -> Iterator[None]:
    """Give this process a pool with one place."""
    options = connection.settings_dict["OPTIONS"]
    age = connection.settings_dict["CONN_MAX_AGE"]
    connection.close()
    options["pool"] = {"min_size": 1, "max_size": 1, "timeout": 10}
    connection.settings_dict["CONN_MAX_AGE"] = 0
    connection.settings_dict["CONN_HEALTH_CHECKS"] = False
    try:
        yield
    finally:
        connection.close()
        connection.close_pool()
        del options["pool"]
        connection.settings_dict["CONN_MAX_AGE"] = age


@contextmanager
def taken() -> Iterator[None]:
    """Let another thread hold the pool's only connection."""
    has_it, enough = threading.Event(), threading.Event()

    def hold() -> None:
        connections["default"].ensure_connection()
        has_it.set()
        enough.wait(30)
        connections["default"].close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert has_it.wait(10)
    try:
        yield
    finally:
        enough.set()
        thread.join(10)


@pytest.fixture
def exhausted(keeper) -> Iterator[None]:
    keeper.get(url("overview"))
    with pool_of_one(), taken():
        yield


@pytest.mark.parametrize("page", MENU, ids=lambda page: page.name)
def test_a_page_is_read_while_the_pool_is_exhausted(keeper, exhausted, page):
    assert beside.is_exhausted()
    for name in list(RANGES)[:2]:
        assert troubles(body(keeper, url(page.name, range=name))) == []
    assert connection.connection is None


def test_rights_are_asked_for_all_the_same(keeper, member, client, exhausted):
    assert client.get(url("overview")).status_code == 302
    keeper.cookies.clear()
    assert keeper.get(url("overview")).status_code == 302


def test_a_pool_with_a_place_left_is_used(keeper):
    with pool_of_one():
        connection.ensure_connection()
        connection.close()  # goes back to the pool
        assert not beside.is_exhausted()
        body(keeper, url("indexes"))
    assert not beside.is_exhausted()
