"""Lists and reports run on a real streaming replica; late, hung or lost, every answer is right all the same."""

import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal

import httpx
import pytest
import redis
from django.conf import settings as django_settings
from django.db import connection

from khaacho.actors import SYSTEM
from khaacho.enums import Role
from monitoring import services as monitoring
from monitoring.enums import ReportFormat, ReportKind, ReportState
from monitoring.models import Report
from tests.factories import (
    make_offer,
    make_order,
    make_retailer,
    make_user,
    retailer_actor,
)
from tests.processes import ROOT, environment, wait_for
from tests.serving.sites import Site, bearer, desk, site
from tests.serving.standby import Standby, standby
from vendors import services as vendors

pytestmark = [pytest.mark.processes, pytest.mark.long, pytest.mark.django_db(transaction=True)]

LAG_SECONDS = "2"
ORDERS = '%json_build_object%FROM "orders"%'


@pytest.fixture(scope="module")
def _standby(django_db_setup, django_db_blocker) -> Iterator[Standby]:
    with django_db_blocker.unblock(), standby() as made:
        yield made


@pytest.fixture(scope="module")
def _running(_standby: Standby, tmp_path_factory) -> Iterator[Site]:
    told = {"DATABASE_REPLICA_URL": _standby.url, "REPLICA_MAX_LAG_SECONDS": LAG_SECONDS}
    home = tmp_path_factory.mktemp("web")
    with site(home, DB_POOL_MAX="8", REPLICA_TIMEOUT="1000", **told) as running:
        yield running


@pytest.fixture
def replica(_standby: Standby) -> Iterator[Standby]:
    if not _standby.is_running():
        _standby.start()
    _standby.catch_up()
    yield _standby
    if _standby.is_running():
        _standby.thaw()
        _standby.resume()


class Shop:
    """A shop, what it may ask, and how often the replica and the primary were asked for its orders."""

    def __init__(self, running: Site, replica: Standby) -> None:
        self.site, self.replica = running, replica
        self.retailer = make_retailer()
        self.headers = bearer(retailer_actor(self.retailer))

    def orders(self) -> list[int]:
        answer = self.site.get("/api/v1/orders/", headers=self.headers)
        assert answer.status_code == 200, self.site.log.read_text()[-6000:]
        return [row["id"] for row in answer.json()["data"]]

    def place(self, offer) -> int:
        answer = httpx.post(
            f"{self.site.url}/api/v1/orders/",
            json={
                "vendor_id": offer.vendor_id,
                "items": [{"product_id": offer.product_id, "quantity": 1}],
                "payment_terms": "CREDIT",
            },
            headers={**self.headers, "Idempotency-Key": f"key-{time.monotonic_ns()}"},
            trust_env=False,
            timeout=30,
        )
        assert answer.status_code == 201, answer.text
        return int(answer.json()["id"])

    def asks(self) -> tuple[int, int]:
        """List the orders once; return how many statements that were on the replica and the primary."""
        before = self.replica.calls(ORDERS), primary_calls(ORDERS)
        self.orders()
        after = self.replica.calls(ORDERS), primary_calls(ORDERS)
        return after[0] - before[0], after[1] - before[1]

    def uses_the_replica(self) -> bool:
        return self.asks() == (1, 0)

    def wait_for_the_replica(self) -> None:
        wait_for(self.uses_the_replica, seconds=20, what=f"a list on the replica: {self.site.log}")


def primary_calls(like: str) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s"
            " JOIN pg_database d ON d.oid = s.dbid"
            " WHERE d.datname = current_database() AND query LIKE %s",
            [like],
        )
        return int(cursor.fetchone()[0])


@pytest.fixture
def shop(_running: Site, replica: Standby) -> Shop:
    found = Shop(_running, replica)
    found.wait_for_the_replica()
    return found


@pytest.fixture
def offer():
    return make_offer(stock=1000)


def test_lists_run_on_the_replica(shop, offer):
    order = make_order(shop.retailer, offer)
    shop.replica.catch_up()
    assert shop.orders() == [order.pk]
    assert [shop.asks() for _ in range(5)] == [(1, 0)] * 5


def test_a_user_reads_what_they_wrote_whatever_lags(shop, offer, replica):
    other = Shop(shop.site, replica)
    replica.catch_up()
    other.wait_for_the_replica()
    replica.pause()
    placed = shop.place(offer)
    assert shop.orders() == [placed]
    assert shop.asks() == (0, 1)
    assert other.asks() == (1, 0)  # who wrote nothing may read what is seconds old
    replica.resume()
    replica.catch_up()
    shop.wait_for_the_replica()
    assert shop.orders() == [placed]


def test_a_write_that_is_replayed_is_read_on_the_replica_at_once(shop, offer, replica):
    for _ in range(3):
        placed = shop.place(offer)
        replica.catch_up()
        before = replica.calls(ORDERS)
        assert shop.orders()[0] == placed
        assert replica.calls(ORDERS) == before + 1


def test_a_late_replica_is_left_and_used_again(shop, offer, replica):
    replica.pause()
    order = make_order(shop.retailer, offer)  # by somebody else: this shop has no newer position
    wait_for(lambda: shop.orders() == [order.pk], what="what the late replica lacks")
    assert shop.asks() == (0, 1)
    assert shop.site.said('"reason": "late"') >= 1
    replica.resume()
    replica.catch_up()
    shop.wait_for_the_replica()
    assert shop.orders() == [order.pk]


def test_a_hung_replica_is_hung_up_on(shop, offer, replica):
    order = make_order(shop.retailer, offer)
    replica.catch_up()
    shop.wait_for_the_replica()
    failed = shop.site.said("replica.failed")
    replica.freeze()
    begun = time.monotonic()
    assert shop.orders() == [order.pk]
    assert time.monotonic() - begun < 10  # 1.5 s for the answer that does not come
    begun = time.monotonic()
    assert shop.orders() == [order.pk]
    assert time.monotonic() - begun < 1  # nobody waits a second time
    assert shop.site.said("replica.failed") <= failed + 1
    assert shop.site.said('"reason": "down"') >= 1
    replica.thaw()
    shop.wait_for_the_replica()


def test_a_lost_replica_is_done_without_and_found_again(shop, offer, replica):
    order = make_order(shop.retailer, offer)
    replica.catch_up()
    shop.wait_for_the_replica()
    replica.stop()
    for _ in range(5):
        assert shop.orders() == [order.pk]
    replica.start()
    shop.wait_for_the_replica()
    assert shop.orders() == [order.pk]


def test_without_positions_it_is_the_primary(shop, offer, replica):
    """Redis lost everything: whether this user wrote, nobody knows."""
    with redis.Redis.from_url(django_settings.CACHE_URL) as client:
        client.flushall()
    replica.pause()
    order = make_order(shop.retailer, offer)
    assert shop.orders() == [order.pk]
    replica.resume()
    replica.catch_up()
    shop.wait_for_the_replica()


def test_a_page_is_never_kept_from_a_replica_that_lacks_the_change(shop, offer, replica):
    path = f"/api/v1/products/{offer.product_id}/offers/"

    def price() -> str:
        answer = shop.site.get(path, headers=shop.headers)
        assert answer.status_code == 200
        return str(answer.json()["data"][0]["price"])

    before = price()
    replica.catch_up()
    shop.wait_for_the_replica()
    replica.pause()
    vendors.change_offer(offer_id=offer.pk, vendor_price=Decimal("77.00"), actor=SYSTEM)
    assert shop.uses_the_replica()  # which does not have the price
    after = price()
    assert before != after
    replica.resume()
    assert price() == after


def test_the_admin_s_lists_run_there_too(shop, replica):
    like = '%FROM "orders"%'
    with desk(shop.site, make_user(Role.ADMIN, is_superuser=True)) as browser:

        def listed_there() -> bool:
            before = replica.calls(like)
            assert browser.get("/admin/orders/order/").status_code == 200
            return replica.calls(like) > before

        wait_for(listed_there, what="the admin's list on the replica")
        replica.stop()
        assert browser.get("/admin/orders/order/").status_code == 200


def made(replica: Standby, **env: str) -> Report:
    report = monitoring.request_report(
        kind=ReportKind.OUTSTANDING_LIABILITY,
        form=ReportFormat.CSV,
        given={},
        actor=SYSTEM,
    )
    told = environment(
        DATABASE_REPLICA_URL=replica.url,
        REPLICA_MAX_LAG_SECONDS="1",
        DB_POOL_MAX="0",
        LOG_DIR="",
        **env,
    )
    command = [sys.executable, "manage.py", "run_jobs", "--drain", "--queue", "reports"]
    done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    report.refresh_from_db()
    assert report.state == ReportState.DONE, done.stderr[-2000:]
    return report


def test_a_report_is_read_there_once_it_has_what_is_committed(replica, offer):
    copies = "COPY (SELECT%"
    before = replica.calls(copies), primary_calls(copies)
    first = made(replica)
    assert (replica.calls(copies), primary_calls(copies)) == (before[0] + 1, before[1])
    replica.pause()
    second = made(replica)
    assert (replica.calls(copies), primary_calls(copies)) == (before[0] + 1, before[1] + 1)
    replica.resume()
    replica.stop()
    third = made(replica)
    assert primary_calls(copies) == before[1] + 2
    assert first.row_count == second.row_count == third.row_count
