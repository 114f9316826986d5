"""Rate limits: exact however many come at once, per user, address and class, and open without Redis."""

import logging
import time

import pytest
import redis
from django.db import connections

from tests.api.clients import anonymous, assert_problem, bearer, signed_in
from tests.api.trade import Caller
from tests.factories import make_retailer, make_user
from tests.processes import redis_server
from tests.races import crowd

pytestmark = pytest.mark.django_db
HEADERS = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture
def limits(settings):
    """Set a class's limits: of one caller, and of all behind an address."""

    def limit(kind: str, one: int, behind_address: int = 0) -> None:
        settings.RATE_LIMITS = {**settings.RATE_LIMITS, kind: (one, behind_address)}

    return limit


def figures(response) -> list[int]:
    return [int(response[name]) for name in HEADERS]


def test_every_answer_says_how_its_caller_stands(limits):
    limits("read", 10, 100)
    shop = Caller(make_retailer().user)
    assert figures(shop.get("orders/")) == [10, 9, 60]
    assert figures(shop.get("orders/999999/")) == [10, 8, 60]
    assert figures(shop.get("nowhere/")) == [10, 7, 60]
    assert figures(Caller().get("orders/")) == [10, 9, 60]
    assert figures(signed_in(make_user()).options("/api/v1/orders/")) == [10, 9, 60]
    assert not set(HEADERS) & set(anonymous().get("/admin/login/").headers)
    assert not set(HEADERS) & set(anonymous().get("/livez").headers)


def test_the_one_too_many_is_refused(limits, caplog):
    limits("read", 3)
    shop = Caller(make_retailer().user)
    assert [shop.get("dashboard/").status_code for _ in range(3)] == [200] * 3
    with caplog.at_level(logging.INFO, "khaacho.rejections"):
        refused = shop.get("dashboard/")
    document = assert_problem(refused, 429, "too_many_requests")
    assert 1 <= int(refused["Retry-After"]) == document["retry_after"] <= 60
    assert figures(refused)[:2] == [3, 0]
    (line,) = [r for r in caplog.records if r.name == "khaacho.rejections"]
    assert (line.message, line.code, line.status) == ("request.rejected", "too_many_requests", 429)


def test_a_window_begins_with_its_first_request_and_ends(limits, settings):
    settings.RATE_SECONDS = 1
    limits("read", 2)
    shop = Caller(make_retailer().user)
    assert [shop.get("dashboard/").status_code for _ in range(3)] == [200, 200, 429]
    time.sleep(1.1)
    assert figures(shop.get("dashboard/")) == [2, 1, 1]


def test_what_is_refused_is_not_counted(limits, redis_url):
    limits("read", 2, 100)
    shop = make_retailer().user
    for _ in range(10):
        Caller(shop).get("dashboard/")
    with redis.Redis.from_url(redis_url) as client:
        counts = {
            key.decode().split(":")[-2]: int(client.get(key)) for key in client.keys("*rate:*")
        }
    assert counts == {"user": 2, "all": 2}


def test_users_do_not_use_up_each_others(limits):
    limits("read", 1, 100)
    one, other = Caller(make_retailer().user), Caller(make_retailer().user)
    assert [c.get("dashboard/").status_code for c in (one, other, one, other)] == [
        200,
        200,
        429,
        429,
    ]


def test_all_users_behind_an_address_have_a_limit_together(limits):
    limits("read", 100, 3)
    shops = [Caller(make_retailer().user) for _ in range(4)]
    assert [shop.get("dashboard/").status_code for shop in shops] == [200, 200, 200, 429]
    elsewhere = shops[3].client.get("/api/v1/dashboard/", REMOTE_ADDR="10.0.0.9")
    assert elsewhere.status_code == 200


def test_who_is_nobody_is_counted_by_address(limits):
    """No token, a forged one or an expired one: 401, counted all the same."""
    limits("read", 3, 100)
    forged = {"headers": {"Authorization": bearer(make_user())[:-2] + "xx"}}
    answers = [anonymous().get("/api/v1/orders/") for _ in range(2)]
    answers += [anonymous(**forged).get("/api/v1/orders/") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    other = anonymous().get("/api/v1/orders/", REMOTE_ADDR="10.0.0.9")
    assert other.status_code == 401


def test_the_address_is_the_one_our_proxies_vouch_for(limits, settings):
    limits("read", 1)
    settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}

    def ask(forwarded: str) -> int:
        return anonymous(headers={"X-Forwarded-For": forwarded}).get("/api/v1/health").status_code

    assert [ask("9.9.9.9, 10.0.0.1"), ask("8.8.8.8, 10.0.0.1"), ask("9.9.9.9, 10.0.0.2")] == [
        200,
        429,
        200,
    ]


def test_classes_are_counted_apart(limits):
    for kind in ("read", "write", "order", "sign_in"):
        limits(kind, 1)
    shop = Caller(make_retailer().user)
    passed = [
        shop.get("orders/"),
        shop.post("orders/quote/", {}),
        shop.post("orders/", {}),
        Caller().post("auth/token/", {}),
    ]
    assert 429 not in [answer.status_code for answer in passed]
    again = [
        shop.get("dashboard/"),
        shop.post("orders/1/cancel/", {}),
        shop.post("orders/", {}),
        Caller().post("auth/token/", {}),
    ]
    assert [answer.status_code for answer in again] == [429] * 4


def test_webhooks_have_their_own_generous_limit(limits, settings):
    limits("write", 1)
    limits("read", 1)
    provider = anonymous()
    for path in ("/api/v1/whatsapp/webhook", "/api/v1/whatsapp/twilio"):
        answers = [provider.post(path, "{}", "application/json") for _ in range(3)]
        assert 429 not in [answer.status_code for answer in answers]
    assert settings.RATE_LIMITS["webhook"][0] >= 300 * 60  # a burst of 300 a second


def test_zero_is_no_limit(limits):
    limits("read", 0)
    response = Caller(make_retailer().user).get("dashboard/")
    assert response.status_code == 200
    assert not set(HEADERS) & set(response.headers)


@pytest.mark.django_db(transaction=True)
def test_exactly_as_many_pass_as_fit(limits, settings):
    """200 requests from 32 threads against a limit of 50."""
    settings.REDIS_BUDGET = settings.REDIS_TIMEOUT = 10  # they take turns at one interpreter
    limits("read", 50, 1000)
    user = make_retailer().user
    answers: list[int] = []

    def work() -> None:
        shop = Caller(user)
        while True:
            try:
                next(tickets)
            except StopIteration:
                break
            answers.append(shop.get("dashboard/").status_code)
        connections.close_all()

    tickets = iter([None] * 200)
    assert crowd(work, 32) == {"ok": 32}
    assert sorted(answers) == [200] * 50 + [429] * 150


def test_passes_without_redis(limits, settings):
    limits("read", 1)
    with redis_server() as server:
        settings.CACHE_URL = server.url
        server.freeze()
        shop = Caller(make_retailer().user)
        answers = [shop.get("dashboard/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 5
    assert not set(HEADERS) & set(answers[0].headers)


def test_the_schema_says_so():
    schema = anonymous().get("/api/v1/schema/", headers={"Accept": "application/json"}).json()
    operation = schema["paths"]["/api/v1/orders/"]["get"]["responses"]
    assert set(HEADERS) <= set(operation["200"]["headers"])
    assert {*HEADERS, "Retry-After"} <= set(operation["429"]["headers"])
