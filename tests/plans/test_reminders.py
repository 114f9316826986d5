"""The morning's question reads the open dues once, and each due's levels by their unique index."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from bench.scale.explain import explained
from khaacho import sql
from payments import services

pytestmark = pytest.mark.django_db
MOST_MS = 3_000  # over 100,000 orders, on a busy machine


def test_who_is_to_be_reminded_comes_from_indexes() -> None:
    statement, *_ = explained(services.find_reminders)
    assert {"order_owing_idx", "reminder_once_per_level"} <= set(statement.indexes)


def test_shops_by_the_thousand_are_two_statements() -> None:
    row = sql.fetch_one(
        "SELECT count(DISTINCT retailer_id) FROM orders WHERE due_date IS NOT NULL AND due_amount > 0"
    )
    assert row is not None
    with CaptureQueriesContext(connection) as captured:
        found = services.find_reminders()
    assert found > row[0] // 2 > 500
    assert len(captured) == 4  # and a savepoint with its release
    assert sum(float(query["time"]) for query in captured) * 1000 < MOST_MS
