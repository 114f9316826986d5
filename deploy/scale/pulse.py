"""Requests without patience: each is sent once, and whatever is not answered as it should be has failed."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

CLIENTS = 5  # each a shop of its own, where there are as many: limits are by user, and stay on
PAUSE_SECONDS = 0.25  # some twenty requests a second in all: what is restarted needs the cores too
Request = tuple[str, str, dict[str, Any]]


@dataclass
class Pulse:
    """Clients in threads that read and post through `base_url` until they are told to stop."""

    base_url: str
    logins: Mapping[str, Any]
    counts: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0  # seconds
    slowest_was: str = ""
    _over: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Send requests for as long as the block runs."""
        threads = [
            threading.Thread(target=self._beat, args=(requests, number))
            for number, requests in enumerate(self._all_requests())
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._over.set()
            for thread in threads:
                thread.join()

    def _all_requests(self) -> list[Sequence[Request]]:
        """Return what each client sends: lists, an order of its own, which the primary alone tells, and a quote,
        which is a POST that nginx may not repeat.
        """
        shops, vendor = self.logins["retailers"], self.logins["vendors"][0]["vendor_id"]
        with self._client() as http:
            tokens = [self._token(http, shops[n % len(shops)]) for n in range(CLIENTS)]
            offers = http.get(f"vendors/{vendor}/products/", headers=tokens[0])
            offers.raise_for_status()
            orders = [self._an_order(http, token) for token in tokens]
        quote = {
            "vendor_id": vendor,
            "items": [{"product_id": offers.json()["data"][0]["product_id"], "quantity": 2}],
            "payment_terms": "CASH",
        }
        return [
            [
                ("GET", "orders/", {"headers": token, "params": {"limit": 20}}),
                ("POST", "orders/quote/", {"headers": token, "json": quote}),
                ("GET", "products/", {"headers": token, "params": {"limit": 20}}),
                *[("GET", path, {"headers": token}) for path in order],
            ]
            for token, order in zip(tokens, orders, strict=True)
        ]

    def _an_order(self, http: httpx.Client, token: dict[str, str]) -> list[str]:
        """Return where the shop's newest order is, if it has one."""
        answer = http.get("orders/", headers=token, params={"limit": 1})
        answer.raise_for_status()
        return [f"orders/{row['id']}/" for row in answer.json()["data"]]

    def _client(self) -> httpx.Client:
        return httpx.Client(base_url=f"{self.base_url}/api/v1/", timeout=30, trust_env=False)

    def _token(self, http: httpx.Client, login: Mapping[str, str]) -> dict[str, str]:
        body = {"phone": login["phone"], "password": login["password"]}
        answer = http.post("auth/token/", json=body)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access']}"}

    def _beat(self, requests: Sequence[Request], number: int) -> None:
        with self._client() as http:
            while not self._over.wait(PAUSE_SECONDS):
                method, path, options = requests[number % len(requests)]
                number += 1
                self._send(http, method, path, options)

    def _send(self, http: httpx.Client, method: str, path: str, options: dict[str, Any]) -> None:
        begun = time.monotonic()
        try:
            answer = http.request(method, path, **options)
        except httpx.TransportError as error:
            self.failures.append(f"{method} {path}: {error!r}")
            return
        if answer.is_success:
            self.counts[method] += 1
            self.slowest, self.slowest_was = max(
                (self.slowest, self.slowest_was), (time.monotonic() - begun, f"{method} {path}")
            )
        else:
            self.failures.append(f"{method} {path}: {answer.status_code} {answer.text[:120]}")
