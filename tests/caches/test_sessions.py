"""Sessions of the admin: no statement while Redis is well, no sign-in lost when it is not."""

import pytest
import redis
from django.contrib.sessions.models import Session
from django.test import Client

from khaacho import breaker
from khaacho.cache_sessions import COPY_SECONDS
from khaacho.enums import Role
from tests.api.trade import queries
from tests.factories import make_user

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def browser() -> Client:
    signed_in = Client()
    signed_in.force_login(make_user(Role.ADMIN, is_superuser=True))
    return signed_in


def of_sessions(browser: Client) -> list[str]:
    """Return the statements on sessions that one page costs."""
    found = queries(lambda: browser.get("/admin/"))
    return [statement for statement in found if "django_session" in statement]


def copies(client: redis.Redis) -> list[bytes]:
    return client.keys("*session:*")


def test_a_request_reads_no_session_from_postgresql(browser):
    browser.get("/admin/")
    assert of_sessions(browser) == []


def test_flushing_redis_costs_one_statement_and_no_sign_in(browser, client):
    client.flushall()
    assert len(of_sessions(browser)) == 1
    assert browser.get("/admin/").status_code == 200
    assert of_sessions(browser) == []


def test_a_copy_is_json_and_lives_no_longer_than_a_token(browser, client):
    browser.get("/admin/")
    (key,) = copies(client)
    assert 0 < client.ttl(key) <= COPY_SECONDS
    assert client.get(key).startswith(b"{")


def test_signing_out_ends_the_session_everywhere(browser, client):
    browser.get("/admin/")
    stolen = Client()
    stolen.cookies = browser.cookies.copy()
    assert browser.post("/admin/logout/").status_code == 200
    assert copies(client) == []
    assert Session.objects.count() == 0
    assert stolen.get("/admin/").status_code == 302


def test_signing_out_that_redis_did_not_hear_of_ends_with_the_copy(browser, client, redis_url):
    browser.get("/admin/")
    stolen = Client()
    stolen.cookies = browser.cookies.copy()
    breaker.breaker_of(redis_url).trip()
    browser.post("/admin/logout/")
    assert stolen.get("/admin/").status_code == 302  # PostgreSQL knows
    breaker.close_all()
    (key,) = copies(client)
    assert client.ttl(key) <= COPY_SECONDS
    client.delete(key)  # as it expires
    assert stolen.get("/admin/").status_code == 302


@pytest.mark.parametrize("junk", [b"\x80\x04garbage", b"[1, 2]", b"null", b'{"a": '])
def test_a_copy_that_is_no_session_is_not_believed(browser, client, junk):
    browser.get("/admin/")
    (key,) = copies(client)
    client.set(key, junk)
    assert browser.get("/admin/").status_code == 200
    assert of_sessions(browser) == []  # and was replaced


def test_an_api_request_touches_no_session(browser, client):
    client.flushall()
    assert browser.get("/api/v1/dashboard/").status_code == 401
    assert copies(client) == []
