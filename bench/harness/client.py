"""Calls to the site without a network, as any of many people."""

import io
import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from time import time_ns
from typing import Any

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from bench.harness.rounds import Call
from khaacho import sql, tokens
from khaacho.actors import Actor
from khaacho.enums import Role

PEOPLE = 1_500
TOKEN_LIFETIME = timedelta(hours=12)  # a long run outlives the site's five minutes
SEED = 7

_keys = count(time_ns())


def next_key() -> str:
    """Return an Idempotency-Key that no request had."""
    return f"bench-{next(_keys)}"


@dataclass(frozen=True)
class Person:
    """Somebody with an access token."""

    actor: Actor
    token: str


def person(actor: Actor) -> Person:
    """Give the actor a token that lasts for the run. One query."""
    settings.ACCESS_TOKEN_LIFETIME = TOKEN_LIFETIME
    row = sql.fetch_one("SELECT now()")
    assert row
    return Person(actor, tokens.access_token(actor, now=row[0]))


def retailers(most: int = PEOPLE) -> list[Person]:
    """Return up to `most` shops that have ordered, in an order that is the same in every run."""
    rows = sql.fetch(
        "SELECT r.user_id, r.id, r.shop_name FROM retailers r"
        " WHERE r.is_approved AND NOT r.is_blocked AND r.deleted_at IS NULL"
        " AND EXISTS (SELECT FROM orders o WHERE o.retailer_id = r.id) ORDER BY r.id LIMIT %s",
        [most],
    )
    if not rows:
        raise SystemExit("this database has no shop with an order: load a trade first")
    found = [
        person(Actor(user_id=user, role=Role.RETAILER, name=name, retailer_id=retailer))
        for user, retailer, name in rows
    ]
    random.Random(SEED).shuffle(found)
    return found


def staff() -> Person:
    """Return an administrator of this database."""
    row = sql.fetch_one(
        "SELECT id, name FROM users WHERE role = 'ADMIN' AND is_active AND deleted_at IS NULL"
        " ORDER BY id LIMIT 1"
    )
    if row is None:
        raise SystemExit("this database has no administrator")
    return person(Actor(user_id=row[0], role=Role.ADMIN, name=row[1]))


class Client:
    """Calls the WSGI application, each time as the next of these people."""

    def __init__(self, people: Sequence[Person]) -> None:
        self.application = get_wsgi_application()
        self.people = people
        self.turn = 0

    def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
        """Return the answer's body. Raises RuntimeError unless the status is 2xx or 304."""
        return self.call("GET", path, b"", headers or {})

    def getting(self, path: str) -> Call:
        """Return `get` of this path as a call."""
        return lambda: self.get(path)

    def post(self, path: str, body: bytes) -> bytes:
        """Send JSON with an Idempotency-Key of its own; return the answer's body."""
        return self.call("POST", path, body, {"HTTP_IDEMPOTENCY_KEY": next_key()})

    def call(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        someone = self.people[self.turn % len(self.people)]
        self.turn += 1
        address, _, query = path.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": address,
            "QUERY_STRING": query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "REMOTE_ADDR": "127.0.0.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": "127.0.0.1",
            "HTTP_AUTHORIZATION": f"Bearer {someone.token}",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": sys.stderr,
            "wsgi.url_scheme": "http",
            **headers,
        }
        answered: list[str] = []

        def start_response(status: str, headers: object, error: object = None, /) -> Any:
            answered.append(status)

        answer = self.application(environ, start_response)
        text = b"".join(answer)
        if hasattr(answer, "close"):
            answer.close()
        if not answered[0].startswith(("2", "304")):
            raise RuntimeError(f"{method} {path}: {answered[0]} {text[:300]!r}")
        return text
