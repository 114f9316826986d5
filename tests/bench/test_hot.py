"""HOT updates: a small run against a loaded trade, and every table as it was afterwards."""

import pytest
from django.db import connection

from bench import hot
from tests.factories import make_offer, make_product, make_retailer, make_vendor

pytestmark = pytest.mark.django_db(transaction=True)


def reloptions() -> dict[str, list[str] | None]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reloptions FROM pg_class WHERE relname = ANY (%s)", [list(hot.TABLES)]
        )
        return {table: options and sorted(options) for table, options in cursor.fetchall()}


def test_a_short_run_counts_what_can_be_hot_and_puts_the_settings_back():
    make_retailer()
    vendor = make_vendor()
    for _ in range(8):
        make_offer(vendor, make_product(min_quantity=1), price=10)
    before = reloptions()

    with hot.fillfactors_restored():
        rows = {row.table: row for row in hot.measure(hot.make_world(), 70, orders=2, seed=1)}

    assert reloptions() == before
    assert rows["orders"].updates >= 2 * 6
    assert rows["orders"].hot == 0
    assert rows["jobs"].hot < rows["jobs"].updates / 10
    assert rows["credit_accounts"].hot > 0
    assert rows["vendor_products"].updates == 2 * 3 * 2
    assert rows["vendor_products"].hot == 2 * 3  # sold, not dispatched
    assert "| vendor_products | 70 | 12 | 50% |" in hot.report(list(rows.values()))
