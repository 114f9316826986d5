"""Redis hangs: no request waits more than a second for it, orders are taken, jobs run without it."""

import statistics
import time

import pytest

from khaacho.models import Job
from orders.enums import OrderStatus
from orders.models import Order
from tests.processes import process
from tests.survival.conftest import Shop, Site, assert_done_once, is_quiet

pytestmark = [pytest.mark.processes, pytest.mark.django_db(transaction=True)]

ORDERS = 50
IN_REDIS = 1.0  # seconds of a request


def took(shop: Shop, key: str) -> tuple[int, float]:
    begun = time.perf_counter()
    order = shop.order(key)
    return order, time.perf_counter() - begun


def test_no_request_waits_long_and_direct_mode_does_the_jobs(site: Site, shop: Shop) -> None:
    """The whole request is timed, less what it takes with Redis well: no less than Redis' part."""
    well = [took(shop, f"well-{n}") for n in range(10)]
    site.redis.freeze()
    try:
        frozen = [took(shop, f"frozen-{n}") for n in range(ORDERS)]
        assert Order.objects.filter(status=OrderStatus.PLACED).count() == 10 + ORDERS
        log = site.logs / "frozen-drain.log"
        with process("manage.py", "run_jobs", "--drain", log=log, **site.environment) as direct:
            assert direct.wait(90) == 0, log.read_text()
        assert not Job.objects.open().exists()
    finally:
        site.redis.thaw()
    usual = statistics.median(seconds for _, seconds in well)
    slowest = max(seconds for _, seconds in frozen)
    print(f"{usual:.3f} s with Redis well, at most {slowest:.3f} s with it frozen")
    assert slowest - usual <= IN_REDIS
    assert is_quiet()
    assert_done_once([order for order, _ in well + frozen])
