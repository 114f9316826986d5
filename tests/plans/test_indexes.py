"""Each index serves the screen that it was made for; without it, that is seen."""

import pytest
from django.db import connection, models
from django.db.models import Q

from bench.scale import screens
from bench.scale.explain import INDEX_ONLY, explained
from bench.scale.screens import THE_27, USES, LostIndex, Use
from khaacho import sql
from orders.enums import CLOSED
from orders.models import Order
from tests.plans.named import NEEDED
from vendors.models import Product

pytestmark = pytest.mark.django_db

CONSTRAINTS = {
    "idempotency_key_per_caller": "idempotency_keys",
    "status_log_sequence": "order_status_logs",
}


def of(use: Use) -> str:
    return f"{use.index}: {use.screen}"


def drop(index: str) -> None:
    if index in CONSTRAINTS:
        sql.execute(f"ALTER TABLE {CONSTRAINTS[index]} DROP CONSTRAINT {index}")
    else:
        sql.execute(f"DROP INDEX {index}")


@pytest.mark.parametrize("use", USES, ids=of)
def test_serves_its_screen(use: Use) -> None:
    screens.proof(use, screens.observed(use))


@pytest.mark.parametrize("use", USES, ids=of)
def test_is_missed_when_dropped(use: Use) -> None:
    drop(use.index)

    with pytest.raises(LostIndex, match=f"not {use.index}"):
        screens.proof(use, screens.observed(use))


def test_each_of_the_27_has_a_screen() -> None:
    assert [use.number for use in THE_27] == list(range(1, 28))
    assert {use.index for use in THE_27} == set(NEEDED)


def test_plans_are_printed_for_each_of_the_27() -> None:
    printed = screens.plans()

    assert list(printed) == [use.index for use in THE_27]
    assert all(index in text and "Buffers: " in text for index, text in printed.items())


# Traps that look right and are wrong


def test_an_index_conditioned_on_a_misspelled_state_is_never_used() -> None:
    sql.execute("DROP INDEX order_active_idx")
    sql.execute(
        "CREATE INDEX misspelled_idx ON orders (created_at DESC)"
        " WHERE NOT (status IN ('completed', 'cancelled'))"
    )

    [statement] = explained(lambda: list(Order.objects.open().order_by("-created_at", "-pk")[:50]))

    assert "misspelled_idx" not in statement.indexes


def test_the_model_conditions_that_index_on_the_states_themselves() -> None:
    [index] = [index for index in Order._meta.indexes if index.name == "order_active_idx"]

    assert index.condition == ~Q(status__in=CLOSED)


def test_icontains_does_not_use_a_trigram_index_on_the_bare_name() -> None:
    sql.execute("DROP INDEX products_name_trgm_idx")
    sql.execute("CREATE INDEX bare_idx ON products USING gin (name gin_trgm_ops)")
    sql.execute("SET LOCAL enable_seqscan = off")

    [statement] = explained(lambda: list(Product.objects.filter(name__icontains="chiura")[:50]))

    assert "bare_idx" not in statement.indexes


def test_icontains_uses_the_trigram_index_on_the_upper_name() -> None:
    [statement] = explained(lambda: list(Product.objects.filter(name__icontains="chiura")[:50]))

    assert "products_name_trgm_idx" in statement.indexes


def newest(retailer_id: int) -> models.QuerySet[Order]:
    return Order.objects.filter(retailer_id=retailer_id).order_by("-created_at", "-id")


def test_a_list_of_whole_orders_reads_the_table_where_the_columns_alone_do_not() -> None:
    [(retailer_id,)] = sql.fetch("SELECT min(retailer_id) FROM orders")
    columns = (
        "id",
        "order_number",
        "status",
        "payment_status",
        "total",
        "due_amount",
        "created_at",
    )

    [whole] = explained(lambda: list(newest(retailer_id)[:20]))
    [alone] = explained(lambda: list(newest(retailer_id).values(*columns)[:20]))

    assert INDEX_ONLY not in {node.kind for node in whole.nodes}
    assert INDEX_ONLY in {node.kind for node in alone.nodes}


def test_this_is_the_big_database() -> None:
    assert connection.settings_dict["NAME"].endswith("_plans")
    assert sql.fetch("SELECT count(*) FROM orders") == [(100_000,)]
