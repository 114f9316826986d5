"""The trade that goes on meanwhile: clients who repeat a request, with its key, until it is answered."""

import random
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import httpx
from django.db import Error, connections, transaction

from bench.chaos.market import PRICE, Market, bearer
from khaacho import jobs, sql
from khaacho.actors import Actor

REQUEST_SECONDS = 8.0  # that a client waits for an answer before it asks again
PAUSE_SECONDS = 0.2  # between two sends of one request
TWICE = 0.05  # of all orders are sent twice at once
DELIVERED = 0.3  # of all orders go all the way, and are paid
STEPS = ("accept", "pack", "dispatch", "out_for_delivery", "deliver")
TALLIES = ("rice", "oil", "salt")
FEED_SECONDS = 0.8  # so that two children can do what two feeders ask for
LONGEST_WORK = 0.6  # seconds of a counted job
GIVE_UP_SECONDS = 120.0  # after which an unanswered request is a violation


@dataclass(frozen=True)
class Failure:
    """A send that got no answer, or one that is no answer: when it began and ended, in seconds of the run."""

    begun: float
    ended: float
    what: str


@dataclass
class Ledger:
    """What clients know: only an answer that came counts. For several threads."""

    begun: float = field(default_factory=time.monotonic)
    orders: dict[str, int] = field(default_factory=dict)  # by key
    moments: list[tuple[float, float]] = field(default_factory=list)  # answered at, seconds it took
    delivered: dict[int, str] = field(default_factory=dict)  # order by id: the key of its payment
    paid: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # counted jobs whose enqueuing was confirmed
    failures: list[Failure] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    def now(self) -> float:
        return time.monotonic() - self.begun


class Load:
    """Clients in threads, from `start` until `finish`, which lets each end what it has begun."""

    def __init__(self, url: str, market: Market, *, rate: float, clients: int, seed: int) -> None:
        self.url, self.market, self.seed = url, market, seed
        self.ledger = Ledger()
        self._pause = clients / rate
        self._stopping = threading.Event()
        self._fresh: deque[tuple[int, int, int]] = deque()  # order, vendor, shop: to be delivered
        works: list[Callable[[], None]] = [lambda n=n: self._shop(n) for n in range(clients)]  # type: ignore[misc]
        works += [self._deliver, lambda: self._feed(0), lambda: self._feed(1)]
        self._threads = [threading.Thread(target=self._survive, args=(work,)) for work in works]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopping.set()

    def finish(self) -> None:
        """Begin nothing new, and return when all that was begun is answered."""
        self.stop()
        for thread in self._threads:
            thread.join()

    def _survive(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a client that ends early must be told of
            self.ledger.troubles.append(f"a client ended: {error!r}")
        finally:
            connections.close_all()

    def _shop(self, number: int) -> None:
        rng = random.Random(f"{self.seed} shop {number}")
        with (
            httpx.Client(base_url=self.url, trust_env=False, timeout=REQUEST_SECONDS) as http,
            ThreadPoolExecutor(1) as hasty,
        ):
            count = 0
            while not self._stopping.wait(self._pause * rng.uniform(0.5, 1.5)):
                count += 1
                self._order(http, hasty, rng, f"chaos-{self.seed}-{number}-{count}")

    def _order(
        self, http: httpx.Client, hasty: ThreadPoolExecutor, rng: random.Random, key: str
    ) -> None:
        shop_id = rng.choice(list(self.market.shops))
        vendor_id = rng.choice(list(self.market.offers))
        products = rng.sample(self.market.offers[vendor_id], rng.randint(1, 3))
        body = {
            "vendor_id": vendor_id,
            "items": [{"product_id": product, "quantity": 1} for product in products],
            "payment_terms": "CREDIT",
        }
        actor, begun = self.market.shops[shop_id], time.monotonic()
        other = None
        if rng.random() < TWICE:
            other = hasty.submit(self._send, http, actor, "orders/", body, key)
        answer = self._send(http, actor, "orders/", body, key)
        if other and answer and (second := other.result()) and second["id"] != answer["id"]:
            self.ledger.troubles.append(f"{key} made two orders: {answer['id']}, {second['id']}")
        if answer:
            self.ledger.orders[key] = int(answer["id"])
            self.ledger.moments.append((self.ledger.now(), time.monotonic() - begun))
            if rng.random() < DELIVERED:
                self._fresh.append((int(answer["id"]), vendor_id, shop_id))

    def _deliver(self) -> None:
        with httpx.Client(base_url=self.url, trust_env=False, timeout=REQUEST_SECONDS) as http:
            while not self._stopping.wait(0.05):
                if not self._fresh:
                    continue
                order_id, vendor_id, shop_id = self._fresh.popleft()
                if not self._walk(http, order_id, vendor_id, shop_id):
                    self._fresh.append((order_id, vendor_id, shop_id))

    def _walk(self, http: httpx.Client, order_id: int, vendor_id: int, shop_id: int) -> bool:
        """Deliver and pay the order; return False when no worker has asked its vendor yet."""
        vendor = self.market.vendors[vendor_id]
        for step in STEPS:
            key = f"{order_id}-{step}"
            if self._send(http, vendor, f"orders/{order_id}/{step}/", {}, key, early=True) is None:
                return False
        reference = f"chaos-pay-{order_id}"
        self.ledger.delivered[order_id] = reference
        body = {
            "retailer_id": shop_id,
            "amount": str(PRICE),
            "method": "CASH",
            "reference": reference,
        }
        if answer := self._send(http, vendor, "payments/", body, reference):
            self.ledger.paid[reference] = int(answer["id"])
        return True

    def _send(
        self,
        http: httpx.Client,
        actor: Actor,
        path: str,
        body: dict[str, Any],
        key: str,
        *,
        early: bool = False,
    ) -> dict[str, Any] | None:
        """Post until there is an answer, and return it; a refusal is a trouble, None.

        `early`: a step that the order is not ready for is no trouble, and None too.
        """
        deadline = time.monotonic() + GIVE_UP_SECONDS
        while time.monotonic() < deadline:
            begun = self.ledger.now()
            try:
                response = http.post(
                    f"/api/v1/{path}",
                    json=body,
                    headers={**bearer(actor), "Idempotency-Key": key},
                )
            except httpx.TransportError as error:
                self._fail(begun, type(error).__name__)
                continue
            if response.is_success:
                answer: dict[str, Any] = response.json()
                return answer
            if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                self._fail(begun, str(response.status_code))
            elif "request_in_progress" in response.text:
                time.sleep(PAUSE_SECONDS)
            else:
                if not (early and "illegal_transition" in response.text):
                    self.ledger.troubles.append(f"{path} {key}: {response.text[:200]}")
                return None
        self.ledger.troubles.append(f"{path} {key}: no answer in {GIVE_UP_SECONDS:g} s")
        return None

    def _fail(self, begun: float, what: str) -> None:
        self.ledger.failures.append(Failure(begun, self.ledger.now(), what))
        time.sleep(PAUSE_SECONDS)

    def _feed(self, number: int) -> None:
        """Enqueue work whose effects can be counted; what was not confirmed may be there or not."""
        rng = random.Random(f"{self.seed} feeder {number}")
        count = 0
        while not self._stopping.wait(FEED_SECONDS * rng.uniform(0.5, 1.5)):
            count += 1
            label, name = f"{number}-{count}", rng.choice(TALLIES)
            try:
                with transaction.atomic():
                    seconds = round(rng.uniform(0.05, LONGEST_WORK), 2)
                    jobs.enqueue("chaos.note", {"label": label, "seconds": seconds})
                    sql.execute(ASK, [name])
                    jobs.enqueue("chaos.tally", {"name": name}, dedupe_key=f"tally:{name}")
            except Error:
                connections.close_all()
                continue
            self.ledger.notes.append(label)


ASK = (
    "INSERT INTO chaos_tallies VALUES (%s, 1, 0)"
    " ON CONFLICT (name) DO UPDATE SET asked = chaos_tallies.asked + 1"
)
