"""Shops, vendors and staff as Locust plays them. Run by bench.load_day; knows nothing of Django.

By hand, with a script that a run left behind:
    KHAACHO_LOAD_SCRIPT=var/load/…/script.json locust -f bench/load_day/locustfile.py --headless -H http://127.0.0.1:8000
"""

import json
import os
import random
import time
from pathlib import Path
from typing import Any

import gevent
from gevent.lock import BoundedSemaphore
from locust import FastHttpUser, events, task
from locust.env import Environment

SCRIPT: dict[str, Any] = json.loads(Path(os.environ["KHAACHO_LOAD_SCRIPT"]).read_text())
FACTOR, THINK = float(SCRIPT["factor"]), SCRIPT["think"]
RENEW_SECONDS = float(SCRIPT["renew_seconds"])
STEPS = ("accept", "pack", "dispatch", "out_for_delivery", "deliver")
ON_CASH_ONLY = {"credit_limit_exceeded", "credit_on_hold", "account_frozen"}
# The trade's own no, said in order: no error of the site.
REFUSALS = ON_CASH_ONLY | {
    "insufficient_stock",
    "no_vendor_available",
    "product_unavailable",
    "illegal_transition",
    "idempotency_key_reused",
    "payment_exceeds_due",
    "minimum_quantity",
}
REJECTED, STOPPED, PAID = (
    0.05,
    0.12,
    0.65,
)  # shares of orders: by the first vendor, on their way, of the delivered
QUIET_SECONDS = float(
    SCRIPT["quiet"]
)  # without a move, after all was ordered and walked: the day is over
LEAST_PAUSE = 0.5  # seconds between two looks, however short the day


class Day:
    """What all users share: the next order, what is under way, what was answered."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.waiting = list(reversed(SCRIPT["errands"]))
        self.busy = 0
        self.walking = 0  # orders that a vendor has in hand
        self.under_way: set[int] = set()
        self.moved = time.monotonic()
        self.late = 0.0
        self.samples: list[tuple[float, str, float, bool]] = []

    def now(self) -> float:
        return time.monotonic() - self.began

    def next(self) -> dict[str, Any] | None:
        """Return the next order of the day, to be waited for; None when there is no more."""
        return self.waiting.pop() if self.waiting else None

    def is_over(self) -> bool:
        if SCRIPT["until"] is not None:
            return self.now() > float(SCRIPT["until"])
        if self.waiting or self.busy:
            return False
        # An order that no vendor wanted is under way for ever: nobody has it in hand, and no desk finds it.
        quiet = time.monotonic() - self.moved
        longest = max(THINK.values()) if self.walking else THINK["look"]
        return quiet > QUIET_SECONDS + (2 * longest / FACTOR if self.under_way else 0)


DAY = Day()
LEDGER = Path(SCRIPT["ledger"]).open("a", encoding="utf-8")  # noqa: SIM115 - for as long as the run


def acknowledged(kind: str, row: dict[str, Any]) -> None:
    names = {"order": ("id", "order_number", "total"), "payment": ("id", "reference", "amount")}
    LEDGER.write(json.dumps({"kind": kind, **{name: row[name] for name in names[kind]}}) + "\n")
    LEDGER.flush()
    DAY.moved = time.monotonic()


def think(name: str) -> None:
    """Pause as long as a person does, more or less, in this day's time: up to three times as long."""
    gevent.sleep(min(3.0, random.lognormvariate(0, 0.5)) * THINK[name] / FACTOR)


@events.request.add_listener  # type: ignore[untyped-decorator]
def on_request(
    request_type: str, name: str, response_time: float, exception: object, **_: Any
) -> None:
    DAY.samples.append((DAY.now(), name, response_time, exception is None))


@events.test_start.add_listener  # type: ignore[untyped-decorator]
def on_start(environment: Environment, **_: Any) -> None:
    def watch() -> None:
        while not DAY.is_over():
            gevent.sleep(0.2)
        assert environment.runner
        environment.runner.quit()

    gevent.spawn(watch)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def on_quit(**_: Any) -> None:
    with Path(SCRIPT["samples"]).open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(sample) + "\n" for sample in DAY.samples)
        file.write(json.dumps({"late": DAY.late, "seconds": DAY.now()}) + "\n")
    LEDGER.close()


class Person:
    """Somebody with a login, whose token is renewed in time."""

    def __init__(self, client: Any, login: dict[str, str]) -> None:
        self.client, self.login = client, login
        self.token: str = SCRIPT["tokens"].get(login["phone"], "")
        self.refresh = ""
        # Not all at the same moment: what follows the first token is a sign-in, a password's hash.
        patience = RENEW_SECONDS * random.uniform(0.3, 1)
        self.renew_at = DAY.began + patience if self.token else 0.0
        self.lock = BoundedSemaphore()  # a refresh token that is used twice ends its family

    def send(self, name: str, method: str, path: str, key: str = "", **options: Any) -> Any:
        """Send once; return the answer's body, None when it is an error. A refusal is a body with a code."""
        headers = {"Authorization": f"Bearer {self._token()}"}
        if key:
            headers["Idempotency-Key"] = key
        return self._request(name, method, path, headers=headers, **options)

    def _token(self) -> str:
        with self.lock:
            return self._valid_token()

    def _valid_token(self) -> str:
        if time.monotonic() < self.renew_at:
            return self.token
        answer = None
        if self.refresh:
            answer = self._request(
                "renew token", "POST", "auth/refresh/", json={"refresh": self.refresh}
            )
        if not (answer and "access" in answer):
            answer = self._request("sign in", "POST", "auth/token/", json=self.login)
        if answer and "access" in answer:
            self.token, self.refresh = answer["access"], answer["refresh"]
            self.renew_at = time.monotonic() + RENEW_SECONDS
        return self.token

    def _request(self, name: str, method: str, path: str, **options: Any) -> Any:
        with self.client.request(
            method, f"/api/v1/{path}", name=name, catch_response=True, **options
        ) as response:
            if response.status_code == 0:
                return None
            try:
                body = json.loads(response.text) if response.text else {}
            except ValueError:
                response.failure("not JSON")
                return None
            if response.status_code < 400 or body.get("code") in REFUSALS:
                response.success()
                return body
            response.failure(f"{response.status_code} {body.get('code')}")
            return None


class Shop(FastHttpUser):
    """Takes the day's next order, waits for its moment, looks, asks for a quote, orders."""

    weight = 10
    network_timeout = connection_timeout = 30.0
    concurrency = 50  # a shop's token is asked for by all who order for it
    people: dict[str, Person] = {}

    @task
    def order(self) -> None:
        errand = DAY.next()
        if errand is None:
            gevent.sleep(1)
            return
        DAY.busy += 1
        try:
            before = (THINK["browse"] + THINK["decide"]) / FACTOR
            gevent.sleep(max(0.0, errand["due"] - before - DAY.now()))
            shop = self._person(errand["shop"])
            if errand["words"]:
                self._speak(errand)
            else:
                self._type(shop, errand)
        finally:
            DAY.busy -= 1

    def _person(self, shop: str) -> Person:
        return self.people.setdefault(shop, Person(self.client, SCRIPT["shops"][shop]))

    def _type(self, shop: Person, errand: dict[str, Any]) -> None:
        shop.send("list products", "GET", "products/?limit=20")
        think("browse")
        shop.send("quote", "POST", "orders/quote/", json=errand["body"])
        think("decide")
        DAY.late = max(DAY.late, DAY.now() - errand["due"])
        body, key = errand["body"], errand["key"]
        answer = shop.send("place order", "POST", "orders/", key, json=body)
        if answer and answer.get("code") in ON_CASH_ONLY:
            cash = {**body, "payment_terms": "CASH"}
            answer = shop.send("place order", "POST", "orders/", key, json=cash)
        if answer and "order_number" in answer:
            DAY.under_way.add(answer["id"])
            acknowledged("order", answer)
            shop.send("list orders", "GET", "orders/?limit=20")

    def _speak(self, errand: dict[str, Any]) -> None:
        for word in errand["words"]:
            headers = {"Content-Type": "application/json", "X-Hub-Signature-256": word["signature"]}
            self.client.request(
                "POST",
                "/api/v1/whatsapp/webhook",
                name="webhook",
                data=word["body"],
                headers=headers,
            )
            think("decide")
            gevent.sleep(2.0)  # a worker answers before the shop says yes


class Vendor(FastHttpUser):
    """A vendor's desk: finds its new orders in its list and brings each on its way, side by side."""

    fixed_count = len(SCRIPT["vendors"])
    network_timeout = connection_timeout = 30.0
    concurrency = 50  # it brings many orders on their way at once
    names = sorted(SCRIPT["vendors"])

    def on_start(self) -> None:
        self.person = Person(self.client, SCRIPT["vendors"][self.names.pop()])
        self.seen: set[int] = set()
        gevent.sleep(random.random() * THINK["look"] / FACTOR)

    @task
    def look(self) -> None:
        path = f"orders/?limit=50&status=PENDING&created_after={SCRIPT['since']}"
        found = self.person.send("list vendor's orders", "GET", path)
        for order in (found or {}).get("data", []):
            if order["id"] not in self.seen:
                self.seen.add(order["id"])
                gevent.spawn(self._walk, order)
        gevent.sleep(max(LEAST_PAUSE, THINK["look"] / FACTOR))

    def _walk(self, order: dict[str, Any]) -> None:
        chance, pk = random.Random(order["id"]), order["id"]
        DAY.under_way.add(pk)
        DAY.walking += 1
        try:
            self._steps(chance, pk, order)
        finally:
            DAY.walking -= 1
            DAY.under_way.discard(pk)
            DAY.moved = time.monotonic()

    def _steps(self, chance: random.Random, pk: int, order: dict[str, Any]) -> None:
        think("accept")
        if chance.random() < REJECTED:
            body = {"reason": "The truck comes tomorrow only"}
            self._step(pk, "reject", body)
            return
        last = chance.choice(STEPS[:-1]) if chance.random() < STOPPED else STEPS[-1]
        answer: Any = None
        for step in STEPS:
            if step != "accept":
                think(step)
            answer = self._step(pk, step)
            if not answer or "code" in answer:
                return
            if step == last:
                break
        if last == STEPS[-1] and chance.random() < PAID:
            think("pay")
            self._pay(pk)

    def _step(self, pk: int, step: str, body: dict[str, str] | None = None) -> Any:
        DAY.moved = time.monotonic()
        path, key = f"orders/{pk}/{step}/", f"{SCRIPT['prefix']}/{pk}/{step}"
        return self.person.send(step.replace("_", " "), "POST", path, key, json=body or {})

    def _pay(self, pk: int) -> None:
        order = self.person.send("read order", "GET", f"orders/{pk}/")
        if not order or order["due_amount"] == "0.00":
            return
        reference = f"{SCRIPT['prefix']}/p{pk}"
        body = {
            "retailer_id": order["retailer_id"],
            "amount": order["due_amount"],
            "method": "CASH",
            "reference": reference,
        }
        answer = self.person.send("pay", "POST", "payments/", reference, json=body)
        if answer and "amount" in answer:
            acknowledged("payment", answer)


class Staff(FastHttpUser):
    """Turns pages: what is open, what was paid, how the day goes."""

    fixed_count = 2
    network_timeout = connection_timeout = 30.0

    def on_start(self) -> None:
        self.person = Person(self.client, SCRIPT["operator"])

    @task
    def turn(self) -> None:
        pages: tuple[tuple[str, str], ...] = (
            ("list orders", "orders/?limit=50"),
            ("list payments", "payments/?limit=50"),
            ("dashboard", "dashboard/"),
            ("list vendors", "vendors/?limit=50"),
        )
        name, path = random.choice(pages)
        self.person.send(name, "GET", path)
        gevent.sleep(max(LEAST_PAUSE, random.lognormvariate(0, 0.5) * THINK["desk"] / FACTOR))
