"""Orders that were accepted are routed, once, whatever happens to the worker and to Redis."""

import os
import signal
import time

import psycopg
import pytest
from django.utils import timezone

from khaacho import jobs
from khaacho.enums import JobState
from khaacho.models import Job
from orders.enums import OrderStatus
from orders.models import Order
from tests.processes import children, environment, list_of, process, wait_for
from tests.survival.conftest import Shop, Site, assert_done_once, is_quiet

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

ROUTING = "orders.route"


def is_routing() -> bool:
    """Sweep; whether a routing has begun."""
    jobs.sweep()
    return Job.objects.filter(kind=ROUTING, state=JobState.RUNNING).exists()


def test_worker_killed_in_the_middle_of_routing(site: Site, shop: Shop) -> None:
    placed = [shop.order(f"order-{n}") for n in range(3)]
    options = ("-c", "1", "-Q", "order_routing")
    with psycopg.connect(environment()["DATABASE_URL"]) as other:
        other.execute("SELECT FROM orders FOR UPDATE")  # a routing waits for these
        with site.worker("killed", *options) as w:
            wait_for(is_routing, seconds=40, what="a routing to begin")
            [child] = children(w.pid)
            os.kill(child, signal.SIGKILL)
            wait_for(lambda: child not in children(w.pid), what="the child to die")
            os.kill(w.pid, signal.SIGKILL)
            w.wait()
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.PLACED}
    interrupted = Job.objects.get(kind=ROUTING, state=JobState.RUNNING).pk
    Job.objects.filter(pk=interrupted).update(lease_until=timezone.now())  # 105 seconds later
    with site.worker("restarted", "-c", "2"):
        wait_for(is_quiet, seconds=40, what="the work to end")
    assert Job.objects.get(pk=interrupted).attempts == 2
    assert_done_once(placed)


def test_redis_is_flushed_right_after_orders_were_placed(site: Site, shop: Shop) -> None:
    placed: list[int] = []

    def is_published() -> bool:
        """Order once more; whether Redis knows of it: an earlier test's trouble may still be avoided."""
        placed.append(shop.order(f"order-{len(placed)}"))
        time.sleep(0.3)
        return bool(client.llen(list_of("order_routing")))

    with site.redis.client as client:
        wait_for(is_published, what="the web process to publish")
        client.flushall()
    with site.worker("after-the-flush", "-c", "2"):
        wait_for(lambda: site.is_ready("after-the-flush"), seconds=40, what="the worker")
        assert Order.objects.filter(status=OrderStatus.PLACED).count() == len(placed)
        wait_for(is_quiet, seconds=40, what="the sweep to find the work")
    assert_done_once(placed)


def test_redis_is_away_while_orders_are_placed_and_comes_back(site: Site, shop: Shop) -> None:
    with site.worker("through", "-c", "2"):
        wait_for(lambda: site.is_ready("through"), seconds=40, what="the worker")
        site.redis.stop()
        placed = [shop.order(f"order-{n}") for n in range(5)]
        assert shop.order("order-0") == placed[0]
        assert Order.objects.filter(status=OrderStatus.PLACED).count() == 5
        site.redis.start()
        wait_for(is_quiet, seconds=40, what="the sweep to publish the work")
    assert_done_once(placed)


def test_redis_is_frozen_and_the_work_is_done_without_it(site: Site, shop: Shop) -> None:
    site.redis.freeze()
    try:
        placed = [shop.order(f"order-{n}") for n in range(3)]
        log = site.logs / "drain.log"
        with process("manage.py", "run_jobs", "--drain", log=log, **site.environment) as direct:
            assert direct.wait(40) == 0, log.read_text()
    finally:
        site.redis.thaw()
    assert is_quiet()
    assert_done_once(placed)
