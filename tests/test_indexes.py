"""The 27 indexes that the trade's queries need: present, valid, with their columns and conditions."""

from collections import defaultdict

import pytest
from django.db import connection

pytestmark = pytest.mark.django_db

# name → what pg_get_indexdef says after the table, without the access method's noise.
NEEDED = {
    "order_retailer_status_idx": "btree (retailer_id, status, created_at DESC)",
    "order_vendor_status_idx": "btree (vendor_id, status, created_at DESC)",
    "order_statuses_idx": "btree (status, payment_status, created_at DESC)",
    "order_created_idx": "btree (created_at DESC)",
    "order_active_idx": "btree (created_at DESC) WHERE (NOT",
    "order_overdue_idx": "btree (retailer_id, due_amount, created_at DESC) WHERE ((payment_status)::text = 'OVERDUE'::text)",
    "order_list_covering_idx": "btree (retailer_id, created_at DESC, id DESC) INCLUDE (order_number, status, payment_status, total, due_amount)",
    "ledger_retailer_idx": "btree (retailer_id, created_at DESC)",
    "ledger_vendor_idx": "btree (vendor_id, created_at DESC)",
    "ledger_type_idx": "btree (transaction_type, created_at DESC)",
    "payment_retailer_idx": "btree (retailer_id, payment_status, created_at DESC)",
    "payment_vendor_idx": "btree (vendor_id, created_at DESC)",
    "offer_product_price_idx": "btree (product_id, is_available, vendor_price) WHERE (deleted_at IS NULL)",
    "offer_vendor_catalogue_idx": "btree (vendor_id, is_available) INCLUDE (product_id, vendor_price, stock) WHERE (deleted_at IS NULL)",
    "offer_price_idx": "btree (vendor_price) WHERE ((deleted_at IS NULL) AND is_available)",
    "message_from_idx": "btree (from_number, created_at DESC)",
    "message_processed_idx": "btree (is_processed, created_at DESC)",
    "message_unprocessed_idx": "btree (created_at) WHERE (NOT is_processed)",
    "audit_user_created_idx": "btree (user_id, created_at DESC)",
    "audit_entity_created_idx": "btree (entity_type, entity_id, created_at DESC)",
    "retailer_score_idx": "btree (credit_score DESC, is_approved) WHERE (deleted_at IS NULL)",
    "retailer_debt_idx": "btree (outstanding_debt DESC) WHERE ((deleted_at IS NULL) AND (outstanding_debt > (0)::numeric))",
    "vendor_rating_idx": "btree (rating DESC, is_approved) WHERE (deleted_at IS NULL)",
    "product_category_idx": "btree (category, sub_category, is_active) WHERE (deleted_at IS NULL)",
    "acceptance_inbox_idx": "btree (vendor_id, created_at DESC) WHERE ((status)::text = 'PENDING'::text)",
    "products_name_trgm_idx": "gin (upper((name)::text) gin_trgm_ops)",
    "users_name_trgm_idx": "gin (upper((name)::text) gin_trgm_ops)",
}


def fetch(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def test_each_is_there_as_designed():
    assert len(NEEDED) == 27
    found = {
        name: definition.split(" USING ", 1)[1]
        for name, definition in fetch(
            "SELECT c.relname, pg_get_indexdef(i.indexrelid) FROM pg_index i"
            " JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indisvalid"
        )
    }
    wrong = {
        name: found.get(name, "missing")
        for name, wanted in NEEDED.items()
        if not found.get(name, "").startswith(wanted)
    }
    assert wrong == {}


def test_none_is_a_duplicate_or_a_plain_prefix_of_another():
    """Of our own tables; unique and conditional indexes do more than serve a prefix."""
    rows = fetch(
        "SELECT t.relname, c.relname, i.indkey::text, i.indoption::text, i.indisunique,"
        " i.indpred IS NOT NULL, i.indexprs IS NOT NULL FROM pg_index i"
        " JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid"
        " JOIN pg_am a ON a.oid = c.relam JOIN pg_opclass o ON o.oid = i.indclass[0]"
        " WHERE a.amname = 'btree' AND o.opcname NOT LIKE '%pattern_ops'"
        " AND t.relnamespace = 'public'::regnamespace"
        " AND t.relname !~ '^(django_|auth_|users_)'"  # Django's own
    )
    by_table = defaultdict(list)
    for table, name, keys, options, unique, partial, expressions in rows:
        if not partial and not expressions:
            by_table[table].append((name, keys.split(), options.split(), unique))
    redundant = [
        f"{name} is a prefix of {other}"
        for indexes in by_table.values()
        for name, keys, options, unique in indexes
        for other, more, more_options, _ in indexes
        if name != other
        and not unique
        and more[: len(keys)] == keys
        and more_options[: len(options)] == options
    ]
    assert redundant == []
