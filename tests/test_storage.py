"""Tables and indexes carry the storage settings that docs/adr/0013-storage-settings.md decided."""

from functools import partial

import pytest
from django.db import connection

from bench.scale import explain
from khaacho import sql
from tests.factories import make_offer, make_order, make_product, make_retailer

pytestmark = pytest.mark.django_db
VACUUM = "autovacuum_vacuum_scale_factor=0.05"
INSERT = "autovacuum_vacuum_insert_scale_factor=0.05"
ANALYZE = "autovacuum_analyze_scale_factor=0.05"
SETTINGS = {
    "credit_accounts": {"fillfactor=80"},
    "credit_ledgers": {VACUUM, INSERT, ANALYZE},
    "idempotency_keys": {"fillfactor=80"},
    "order_items": {VACUUM},
    "orders": {VACUUM, ANALYZE},
    "payments": {ANALYZE},
    "retailers": {"fillfactor=90"},
    "statement_counters": {"fillfactor=50"},
    "vendor_products": {"fillfactor=80"},
    "whatsapp_messages": {VACUUM},
}
# each with a search that it serves
SEARCHED = {
    "catalogue_words_trgm_idx": "SELECT FROM catalogue_words WHERE word LIKE '%%abcde%%'",
    "product_words_idx": (
        "SELECT FROM products WHERE product_words(name, name_ne, aliases, brand, sku) && '{abc}'"
    ),
    "products_name_trgm_idx": "SELECT FROM products WHERE upper(name) LIKE '%%ABCDE%%'",
}


def test_settings_are_those_decided_and_no_others():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname, reloptions FROM pg_class WHERE relkind = 'r'"
            " AND relnamespace = 'public'::regnamespace AND reloptions IS NOT NULL"
        )
        found = {table: set(options) for table, options in cursor.fetchall()}
    assert found == SETTINGS


def test_indexes_of_searches_keep_no_list_that_each_search_reads():
    """Two thousand products later a search reads a few pages, where a waiting list has a hundred."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT relname FROM pg_class WHERE 'fastupdate=off' = ANY (reloptions) ORDER BY relname"
        )
        assert [name for (name,) in cursor.fetchall()] == list(SEARCHED)
    product = make_product()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO products (sku, name, name_ne, aliases, brand, category, sub_category, unit, pack_size,"
            " tax_rate, min_quantity, max_quantity, is_active)"
            " SELECT 'S' || n, md5(n::text) || ' ' || md5('b' || n), '', '', '', '', '', unit, pack_size, tax_rate,"
            " min_quantity, max_quantity, true FROM products, generate_series(1, 2000) AS n WHERE id = %s",
            [product.pk],
        )
        cursor.execute("SET LOCAL enable_seqscan = off")
    for index, search in SEARCHED.items():
        [statement] = explain.explained(partial(sql.fetch, search))
        [scan] = [node for node in statement.nodes if node.index == index]
        assert scan.pages_read < 20, scan


def hot_updates(table: str, change: str) -> bool:
    """Return whether PostgreSQL counts the update of one row as HOT."""
    count = (
        "SELECT pg_stat_get_xact_tuples_hot_updated(%s::regclass),"
        " pg_stat_get_xact_tuples_updated(%s::regclass)"
    )
    with connection.cursor() as cursor:
        cursor.execute(count, [table, table])
        before = cursor.fetchone()
        cursor.execute(f"UPDATE {table} SET {change}")
        cursor.execute(count, [table, table])
        after = cursor.fetchone()
    assert after[1] == before[1] + 1
    return after[0] == before[0] + 1


def test_what_a_sale_changes_is_in_no_index():
    """An index on one of these columns would cost each sale an entry in every index of the table."""
    order = make_order(make_retailer(), make_offer())
    assert hot_updates("vendor_products", "reserved = reserved + 1")
    assert hot_updates("credit_accounts", "reserved = reserved + 1")
    assert hot_updates("retailers", "reserved_credit = reserved_credit + 1")
    assert not hot_updates("vendor_products", "stock = stock + 1")
    assert not hot_updates("orders", f"payment_status = 'OVERDUE' WHERE id = {order.pk}")
