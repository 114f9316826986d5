"""The site as a client sees it: requests with patience, people with tokens, and how long it all took."""

import math
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from bench.trade.logins import Login

THREADS = 8
TRIES = 8  # of one request
LONGEST_WAIT = 35.0  # seconds that one Retry-After is obeyed
TOKEN_MARGIN = 60.0  # seconds before its end at which a token is renewed
PAGE = 100
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
PATIENT = {429, 502, 503, 504}  # 502 and 504: a proxy whose site does not answer

Body = Mapping[str, Any]


class NotLoopback(ValueError):
    """The day is played against this machine alone: http://127.0.0.1:PORT."""


class Unexpected(Exception):
    """The site answered something that has no place in this day."""


@dataclass(frozen=True)
class Answer:
    """One answer of the API; `code` is the problem's, empty for a success."""

    status: int
    body: dict[str, Any]
    replayed: bool = False

    @property
    def code(self) -> str:
        return str(self.body.get("code", "")) if self.status >= 400 else ""

    def ok(self) -> dict[str, Any]:
        """Return the body. Raises Unexpected for a refusal."""
        if self.status >= 400:
            raise Unexpected(f"{self.status} {self.code} {self.body.get('detail', '')}")
        return self.body


class Site:
    """HTTP on loopback, for several threads. `timings` are seconds of each request by its name."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        if parts.scheme != "http" or parts.hostname not in LOOPBACK:
            raise NotLoopback(NotLoopback.__doc__)
        self.timings: dict[str, list[float]] = defaultdict(list)
        self._http = httpx.Client(
            base_url=f"{base_url.rstrip('/')}/api/v1/",
            timeout=30,
            trust_env=False,
            limits=httpx.Limits(max_connections=THREADS + 2),
        )

    def close(self) -> None:
        self._http.close()

    def request(self, name: str, method: str, path: str, **options: Any) -> Answer:
        """Send until there is an answer: waits when told to, and sends again what got none.

        So only what may be sent twice may be sent here: reads, and posts with a key of their own.
        """
        for attempt in range(1, TRIES + 1):
            try:
                response = self._timed(name, method, path, **options)
            except httpx.TransportError:
                if attempt == TRIES:
                    raise
                time.sleep(0.2 * attempt)
                continue
            answer = _answer(response)
            if response.status_code in PATIENT and attempt < TRIES:
                time.sleep(_retry_after(response))
            elif answer.code == "request_in_progress" and attempt < TRIES:
                time.sleep(0.2 * attempt)
            else:
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _timed(self, name: str, method: str, path: str, **options: Any) -> httpx.Response:
        started = time.perf_counter()
        response = self._http.request(method, path, **options)
        self.timings[name].append(time.perf_counter() - started)
        return response


def _retry_after(response: httpx.Response) -> float:
    text = response.headers.get("Retry-After", "1")
    return min(float(text) if text.isdecimal() else 1.0, LONGEST_WAIT)


def _answer(response: httpx.Response) -> Answer:
    try:
        body = response.json() if response.content else {}
    except ValueError:
        body = {"code": "not_json", "detail": response.text[:200]}
    replayed = response.headers.get("Idempotency-Replayed") == "true"
    return Answer(response.status_code, body if isinstance(body, dict) else {}, replayed)


class Person:
    """Somebody who signs in when first needed and whose token is renewed before it ends."""

    def __init__(self, site: Site, login: Login) -> None:
        self.site, self.login = site, login
        self._lock = threading.Lock()
        self._access, self._refresh, self._renew_at = "", "", -math.inf

    def get(self, name: str, path: str, **params: Any) -> dict[str, Any]:
        """Return what is read. Raises Unexpected."""
        return self.send(name, "GET", path, params=params).ok()

    def rows(self, name: str, path: str, **params: Any) -> Iterator[dict[str, Any]]:
        """Walk a list to its end by cursor. Raises Unexpected."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.get(name, path, cursor=cursor, limit=PAGE, **params)
            yield from page["data"]
            cursor = page["pagination"]["next_cursor"]

    def post(self, name: str, path: str, body: Body | None = None, *, key: str = "") -> Answer:
        headers = {"Idempotency-Key": key} if key else {}
        return self.send(name, "POST", path, json=body or {}, headers=headers)

    def send(self, name: str, method: str, path: str, **options: Any) -> Answer:
        bearer = {"Authorization": f"Bearer {self.token()}"}
        options["headers"] = {**options.get("headers", {}), **bearer}
        return self.site.request(name, method, path, **options)

    def token(self, lasting: float = 0.0) -> str:
        """Return a token that is good for `lasting` more seconds, if a new one is. Raises Unexpected."""
        with self._lock:
            if time.monotonic() + lasting >= self._renew_at:
                self._keep(self._renewed() or self._signed_in())
            return self._access

    def _renewed(self) -> dict[str, Any] | None:
        if not self._refresh:
            return None
        body = {"refresh": self._refresh}
        answer = self.site.request("renew token", "POST", "auth/refresh/", json=body)
        return answer.body if answer.status == 200 else None

    def _signed_in(self) -> dict[str, Any]:
        body = {"phone": self.login["phone"], "password": self.login["password"]}
        return self.site.request("sign in", "POST", "auth/token/", json=body).ok()

    def _keep(self, tokens: dict[str, Any]) -> None:
        self._access, self._refresh = tokens["access"], tokens["refresh"]
        self._renew_at = time.monotonic() + tokens["expires_in"] - TOKEN_MARGIN
