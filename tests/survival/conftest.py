"""A site of real processes: gunicorn, a Redis of its own, and shops that order over HTTP."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.utils import timezone

from khaacho import breaker, jobs, tokens
from khaacho.enums import JobState
from khaacho.models import Job
from monitoring.invariants import run_invariants
from orders.enums import OrderStatus
from orders.models import Order, OrderStatusLog, VendorOrderAcceptance
from tests.factories import make_offer, make_retailer, retailer_actor
from tests.processes import RedisServer, free_port, process, redis_server, wait_for
from whatsapp.models import WhatsAppMessage

SLOWEST = 2.0  # seconds that placing an order may take, whatever Redis does


@dataclass(frozen=True)
class Site:
    """A running web process, its Redis, and where its processes write."""

    url: str
    redis: RedisServer
    logs: Path

    @property
    def environment(self) -> dict[str, str]:
        return {
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": self.redis.url,
            "STATIC_ROOT": str(self.logs),
            "DB_POOL_MAX": "0",
        }

    def worker(self, name: str, *options: str, **env: str) -> Any:
        arguments = ("-m", "celery", "-A", "khaacho", "worker", "-l", "info")
        quick = ("--without-gossip", "--without-mingle", "--without-heartbeat")
        log = self.logs / f"{name}.log"
        return process(*arguments, *quick, *options, log=log, **{**self.environment, **env})

    def is_ready(self, name: str) -> bool:
        return " ready." in (self.logs / f"{name}.log").read_text()


@pytest.fixture(scope="module")
def _site(django_db_setup: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    logs, port = tmp_path_factory.mktemp("site"), free_port()
    gunicorn = ("-m", "gunicorn", "-c", "deploy/local/gunicorn.conf.py", "khaacho.wsgi")
    with redis_server() as server:
        site = Site(f"http://127.0.0.1:{port}", server, logs)
        env = {**site.environment, "PORT": str(port), "WEB_CONCURRENCY": "1"}
        with process(*gunicorn, log=logs / "web.log", **env):
            wait_for(lambda: _answers(site), seconds=40, what="the web process")
            yield site


def _answers(site: Site) -> bool:
    try:
        return httpx.get(f"{site.url}/livez", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


@pytest.fixture
def site(_site: Site, settings: Any) -> Site:
    settings.CELERY_BROKER_URL = _site.redis.url
    settings.JOB_REPUBLISH_SECONDS = 0.3
    if _site.redis.process is None:
        _site.redis.start()
    with _site.redis.client as client:
        client.flushall()
    breaker.close_all()
    return _site


class Shop:
    """A shop with credit, and a vendor's offer that it orders from."""

    def __init__(self, site: Site) -> None:
        self.site, self.offer, self.retailer = site, make_offer(), make_retailer()
        token = tokens.access_token(retailer_actor(self.retailer), now=timezone.now())
        self.headers = {"Authorization": f"Bearer {token}"}

    def order(self, key: str) -> int:
        """Place an order of one pack over HTTP, within SLOWEST; return its id."""
        started = time.monotonic()
        answer = httpx.post(
            f"{self.site.url}/api/v1/orders/",
            json={
                "vendor_id": self.offer.vendor_id,
                "items": [{"product_id": self.offer.product_id, "quantity": 1}],
                "payment_terms": "CREDIT",
            },
            headers={**self.headers, "Idempotency-Key": key},
            trust_env=False,
        )
        seconds = time.monotonic() - started
        assert answer.status_code == 201, answer.text
        assert seconds < SLOWEST
        return int(answer.json()["id"])


@pytest.fixture
def shop(site: Site) -> Shop:
    return Shop(site)


def is_quiet() -> bool:
    """Sweep; whether nothing is left to do."""
    jobs.sweep()
    return not Job.objects.exclude(state=JobState.DONE).exists()


def assert_done_once(placed: list[int]) -> None:
    """Every order was offered once, told of once, and no rule of the trade is broken."""
    assert sorted(Order.objects.values_list("pk", flat=True)) == placed
    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.PENDING}
    asked = dict(VendorOrderAcceptance.objects.values_list("order_id", "pk"))
    assert VendorOrderAcceptance.objects.count() == len(asked) == len(placed)
    moves = OrderStatusLog.objects.filter(to_status=OrderStatus.PENDING)
    assert sorted(moves.values_list("order_id", flat=True)) == placed
    notices = {f"order:{pk}:placed:retailer" for pk in placed} | {
        f"offer:{pk}" for pk in asked.values()
    }
    about_orders = WhatsAppMessage.objects.exclude(key__startswith="retailer:")
    written = list(about_orders.values_list("key", flat=True))
    assert sorted(written) == sorted(notices)
    offer = placed and Order.objects.get(pk=placed[0]).items.get().offer
    assert offer.reserved == len(placed)
    assert Order.objects.get(pk=placed[0]).total == Decimal("100.00")
    broken = [(r.invariant.name, r.examples) for r in run_invariants() if r.violations]
    assert broken == [], json.dumps(broken, default=str)
