"""Redis frozen, gone, full, dripping or talking nonsense: right answers, and at most a quarter of a second."""

import logging
import time
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client

from khaacho import breaker, cache_budget, cache_wire
from khaacho.caches import Slot
from khaacho.enums import Role
from tests.api.trade import Caller
from tests.caches.conftest import SLOT, Speaker, at_most, look
from tests.factories import make_offer, make_retailer, make_user
from tests.processes import RedisServer, free_port
from vendors.models import VendorProduct

pytestmark = pytest.mark.django_db(transaction=True)
BOUND = 0.25  # seconds of Redis in one request


def frozen(own: RedisServer, settings) -> None:
    own.freeze()


def frozen_in_mid_talk(own: RedisServer, settings) -> None:
    look("one")  # the connection stands
    own.freeze()


def gone(own: RedisServer, settings) -> None:
    look("one")
    own.stop()


def full(own: RedisServer, settings) -> None:
    with own.client as client:
        client.config_set("maxmemory", 1)


def elsewhere(own: RedisServer, settings) -> None:
    settings.CACHE_URL = f"redis://127.0.0.1:{free_port()}/0"


def locked(own: RedisServer, settings) -> None:
    settings.CACHE_URL = f"redis://:wrong@127.0.0.1:{own.port}/0"


def talking(answer: bytes, pause: float = 0.0) -> Callable[[RedisServer, object], None]:
    def nonsense(own: RedisServer, settings) -> None:
        settings.CACHE_URL = Speaker(answer, pause).url
        settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": settings.CACHE_URL}}

    return nonsense


OUTAGES = {
    "frozen": frozen,
    "frozen in mid talk": frozen_in_mid_talk,
    "gone": gone,
    "full": full,
    "nobody there": elsewhere,
    "wrong password": locked,
    "a web server": talking(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "yes to everything": talking(b"+OK\r\n"),
    "noise": talking(bytes(range(256))),
    "too much": talking(b"$999999999999\r\n"),
    "too deep": talking(b"*1\r\n" * 50),
    "odd lists": talking(b"*2\r\n:1\r\n$-1\r\n"),
    "dripping": talking(b"$100\r\n" + b"x" * 100, 0.05),
    "silent": talking(b""),
}


@pytest.fixture(params=OUTAGES.values(), ids=OUTAGES.keys())
def outage(request, own, settings) -> Callable[[], None]:
    return lambda: request.param(own, settings)


@pytest.fixture
def spent(monkeypatch) -> list[float]:
    """Seconds spent in Redis code, command by command: the budget's own reckoning, noted down."""
    noted: list[float] = []
    reckon = cache_budget.spend

    def note(begun: float) -> None:
        noted.append(time.monotonic() - begun)
        reckon(begun)

    monkeypatch.setattr(cache_budget, "spend", note)
    return noted


def test_pages_are_computed(outage):
    outage()
    with cache_budget.of_request(), at_most(BOUND + 0.1):
        assert look("one", Slot("another", ("shelf",), 60)) == "one"


def test_a_request_is_right_and_spends_little(outage, spent):
    """Rates, then the page: with all that Redis may do to us within one request."""
    offer = make_offer()
    shop = Caller(make_retailer().user)
    outage()
    answers = []
    for _ in range(3):
        spent.clear()
        answers.append(shop.get(f"products/{offer.product_id}/"))
        assert sum(spent) < BOUND
    assert [answer.status_code for answer in answers] == [200] * 3
    assert answers[2].json()["best_offer"]["id"] == offer.pk
    VendorProduct.objects.update(vendor_price="77.00")
    assert shop.get(f"products/{offer.product_id}/").json()["best_offer"]["price"] == "77.00"


def test_staff_stay_signed_in(outage, spent):
    """The session is PostgreSQL's; Redis only spares reading it."""
    browser = Client()
    browser.force_login(make_user(Role.ADMIN, is_superuser=True))
    outage()
    for _ in range(3):
        spent.clear()
        assert browser.get("/admin/").status_code == 200
        assert sum(spent) < BOUND


def test_one_request_finds_out_for_all(own, caplog):
    own.freeze()
    with caplog.at_level(logging.WARNING), at_most(0.6):
        for _ in range(50):
            with cache_budget.of_request():
                assert look("one") == "one"
    assert [record.message for record in caplog.records] == ["redis.failed"]
    assert "secret" not in caplog.text


def test_sessions_pages_and_rates_share_the_breaker(own):
    own.freeze()
    assert look("one") == "one"
    with at_most(0.05):
        assert cache.get("anything") is None
        assert look("two") == "two"


def test_is_believed_again(own, monkeypatch):
    monkeypatch.setattr(breaker, "BREAKER_SECONDS", 0.2)
    own.freeze()
    look("one")
    own.thaw()
    time.sleep(0.25)
    look("kept")
    assert look("not asked") == "kept"


def test_a_restart_between_requests_is_not_an_outage(own, caplog):
    look("one")
    own.stop()
    own.start()
    with caplog.at_level(logging.WARNING):
        assert look("two") == "two"
        assert look("three") == "two"
    assert caplog.records == []


def test_a_request_has_one_budget_for_all_its_commands(own, settings):
    """A server that answers, but slowly each time, is given up within the request."""
    settings.CACHE_URL = Speaker(b"*2\r\n$4\r\nwait\r\n$1\r\nv\r\n", 0.001).url
    with cache_budget.of_request(), at_most(0.6):
        for _ in range(20):
            assert look("one", SLOT) == "one"


def test_a_request_that_got_no_turn_blames_nobody(own, caplog):
    """Its own budget was gone before Redis was asked: the next one asks."""
    with caplog.at_level(logging.WARNING), cache_budget.of_request():
        cache_budget.spend(time.monotonic() - 0.1499)
        assert look("one") == "one"
    look("two")
    assert look("three") == "two"
    assert caplog.records == []


def test_jobs_and_commands_have_no_budget_that_runs_out():
    for _ in range(30):
        assert cache_budget.left() == 0.25
        cache_budget.spend(time.monotonic() - 1)


def test_a_script_is_sent_once_and_found_again(own):
    look("one")
    with own.client as client:
        client.script_flush()
    assert look("two") == "one"


def test_names_are_looked_up_in_bounded_time(settings):
    settings.CACHE_URL = "redis://no-such-host.invalid:6379/0"
    with cache_budget.of_request(), at_most(BOUND + 0.1):
        assert look("one") == "one"


def test_by_unix_socket_and_by_database_number(own, settings, tmp_path):
    path = f"/tmp/khaacho-{own.port}.sock"
    other = RedisServer(free_port())
    other.start("--unixsocket", path)
    try:
        for url in (f"unix://{path}?db=2", f"redis://127.0.0.1:{other.port}/2"):
            settings.CACHE_URL = url
            look("one")
            assert look("two") == "one"
        with other.client as client:
            assert set(client.info("keyspace")) == {"db2"}
    finally:
        other.stop()


def test_nonces_differ():
    assert len({cache_wire.nonce() for _ in range(1000)}) == 1000
