"""Knocking at the trade's endpoints: a caller with a token, and what a list must not cost."""

from collections.abc import Callable
from itertools import count
from typing import Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from khaacho.models import User
from orders.models import Order
from tests.api.clients import JSON, anonymous, signed_in

BASE = "/api/v1/"
TODAY = {"due_date": "(now() AT TIME ZONE 'Asia/Kathmandu')::date", "created_at": "now()"}
_keys = count(1)


def fresh_key() -> str:
    return f"key-{next(_keys)}"


class Caller:
    """Somebody with a token, or nobody. Bodies are JSON; POSTs carry a fresh Idempotency-Key."""

    def __init__(self, user: User | None = None) -> None:
        self.client: Client = signed_in(user) if user else anonymous()

    def get(self, path: str, **params: Any) -> Any:
        return self.client.get(BASE + path, params)

    def post(self, path: str, body: Any = None, *, key: str | None = "") -> Any:
        headers = {} if key is None else {"Idempotency-Key": key or fresh_key()}
        return self.client.post(
            BASE + path, {} if body is None else body, content_type=JSON, headers=headers
        )

    def patch(self, path: str, body: Any) -> Any:
        return self.client.patch(BASE + path, body, content_type=JSON)

    def delete(self, path: str) -> Any:
        return self.client.delete(BASE + path)


def data(response: Any) -> list[dict[str, Any]]:
    """Return the rows of a list that answered 200."""
    assert response.status_code == 200, response.content
    rows: list[dict[str, Any]] = response.json()["data"]
    return rows


def ids(response: Any) -> list[int]:
    return [row["id"] for row in data(response)]


def queries(run: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(
        connection,
    ) as captured:
        run()
    return [query["sql"] for query in captured.captured_queries]


def assert_constant_queries(
    caller: Caller, path: str, add: Callable[[int], None], *, at_most: int, **params: Any
) -> None:
    """A list costs the same number of statements with 1 row and with 50."""
    add(1)
    one = queries(lambda: data(caller.get(path, limit=100, **params)))
    rows = len(data(caller.get(path, limit=100, **params)))
    assert rows >= 1
    add(49)
    fifty = queries(lambda: data(caller.get(path, limit=100, **params)))
    assert len(data(caller.get(path, limit=100, **params))) == rows + 49
    assert len(one) == len(fifty) <= at_most, fifty


def backdate(order: Order, column: str, days: int) -> None:
    """Move an order's day into the past, as only time can: around the trigger that guards it."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute("ALTER TABLE orders DISABLE TRIGGER agreed")
        cursor.execute(
            f"UPDATE orders SET {column} = {TODAY[column]} - make_interval(days => %s) WHERE id = %s",
            [days, order.pk],
        )
        cursor.execute("ALTER TABLE orders ENABLE TRIGGER agreed")
        cursor.execute("SET CONSTRAINTS ALL DEFERRED")
