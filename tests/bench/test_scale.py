"""A trade of N orders: it holds every invariant, leaves the schema as it was, and is the same for the same seed."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
from django.db import IntegrityError, connection, transaction
from pytest_django import DjangoDbBlocker

from bench import scale
from bench.scale import __main__ as command_line
from bench.scale import bulk, demand, loading
from khaacho import months, sql
from khaacho.models import User
from monitoring.invariants import run_invariants
from orders.enums import OrderStatus
from orders.models import Order

pytestmark = pytest.mark.django_db

ORDERS = 2_000
HOT = 700
SCHEMA = (
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) || convalidated FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace"
    " UNION ALL SELECT indrelid::regclass::text, '', pg_get_indexdef(indexrelid) FROM pg_index"
    " WHERE indrelid = ANY(%s::regclass[])"
    " UNION ALL SELECT tgrelid::regclass::text, tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal"
    " ORDER BY 1, 2, 3"
)


def quietly(step: str) -> None:
    """Take no notice of progress."""


def schema() -> list[tuple[object, ...]]:
    return sql.fetch(SCHEMA, [list(loading.TABLES)])


def fingerprint() -> list[tuple[object, ...]]:
    """What the trade is, without moments and what follows from them."""
    return sql.fetch(
        "SELECT o.id, o.retailer_id, o.vendor_id, o.status, o.total, o.paid_amount, i.product_id, i.quantity"
        " FROM orders o JOIN order_items i ON i.order_id = o.id ORDER BY o.id, i.product_id"
    )


@dataclass(frozen=True)
class Loads:
    """The schema before, and what two loads of the same seed made."""

    schema: list[tuple[object, ...]]
    trades: tuple[list[tuple[object, ...]], list[tuple[object, ...]]]


def empty() -> None:
    """Flush at once what flush() would delete row by row: many foreign keys have no index."""
    tables = ", ".join(loading.TABLES)
    parts = [f"months.{part.name}" for table in months.TABLES for part in months.parts(table)]
    with transaction.atomic():
        for how in ("DISABLE", "ENABLE"):
            for table in (*loading.TABLES, *parts):  # a part refuses TRUNCATE by itself
                sql.execute(f"ALTER TABLE {table} {how} TRIGGER USER")
            if how == "DISABLE":
                sql.execute(f"TRUNCATE {tables} CASCADE")


def load() -> list[tuple[object, ...]]:
    empty()
    scale.load(scale.Scale(orders=ORDERS, hot_account=HOT), quietly)
    return fingerprint()


@pytest.fixture(scope="module", autouse=True)
def loads(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Loads]:
    """The trade, loaded twice; this module's tests only look at it."""
    with django_db_blocker.unblock():
        yield Loads(schema(), (load(), load()))
        empty()


def test_holds_every_invariant() -> None:
    violated = {r.invariant.name: r.examples for r in run_invariants() if r.violations}

    assert violated == {}
    assert Order.objects.count() == ORDERS


def test_leaves_the_schema_as_it_was(loads: Loads) -> None:
    assert schema() == loads.schema


def analyzed() -> dict[str, int]:
    """Return how often each table was analyzed."""
    sql.execute("SELECT pg_stat_clear_snapshot()")
    return dict(sql.fetch("SELECT relname::text, analyze_count FROM pg_stat_user_tables"))


def test_analyzes_tables_too_whose_pages_autovacuum_has_made_visible() -> None:
    """After the load all are."""
    before, here = analyzed(), connection
    with ThreadPoolExecutor(
        loading.SESSIONS, initializer=lambda: loading._settle(here.copy())
    ) as sessions:
        try:
            loading._vacuum(sessions)
        finally:
            loading._close(sessions)
    after = analyzed()

    assert [
        name for name in ("vendors", "retailers", "orders") if after[name] <= before[name]
    ] == []


def test_has_orders_in_every_state() -> None:
    rows = sql.fetch("SELECT status, count(*) FROM orders GROUP BY status")

    assert {status for status, _ in rows} == set(OrderStatus.values)
    assert sum(n for status, n in rows if status in {"DELIVERED", "COMPLETED", "CANCELLED"}) > 1_900


def test_one_account_is_hot() -> None:
    rows = sql.fetch(
        "SELECT last_sequence FROM credit_accounts ORDER BY last_sequence DESC LIMIT 2"
    )

    assert rows[0][0] >= HOT > 10 * rows[1][0]


def test_about_the_share_asked_for_is_owing() -> None:
    [(owing, delivered)] = sql.fetch(
        "SELECT count(*) FILTER (WHERE due_amount > 0), count(*) FROM orders WHERE due_date IS NOT NULL"
    )

    assert 0.04 < owing / delivered < 0.12


def test_new_rows_follow_on() -> None:
    user = User.objects.create_user("+9779841000000", name="New", role="OPERATOR")
    [(last,)] = sql.fetch("SELECT max(id) FROM users WHERE id <> %s", [user.pk])

    assert user.pk == last + 1


def test_leaves_no_plans_behind() -> None:
    assert sql.fetch("SELECT FROM pg_namespace WHERE nspname = 'scale'") == []


def test_refuses_a_database_with_a_trade() -> None:
    with pytest.raises(scale.NotEmpty):
        scale.load(scale.Scale(orders=10), quietly)


def test_same_seed_makes_the_same_trade(loads: Loads) -> None:
    first, second = loads.trades

    assert len(first) > ORDERS
    assert first == second


def test_foreign_keys_are_checked_when_they_come_back() -> None:
    with transaction.atomic():
        rebuild = bulk.strip(("order_items",))
        sql.execute("UPDATE order_items SET order_id = -1 WHERE order_id = 1")
        for statement in (*rebuild.builds, *rebuild.attachments):
            sql.execute(statement)
        [checks] = rebuild.checks
        [check] = [statement for statement in checks if "order_items_order_id" in statement]
        with pytest.raises(IntegrityError, match="order_items_order_id"), transaction.atomic():
            sql.execute(check)
        transaction.set_rollback(True)


def test_dry_run_says_what_it_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert command_line.main(["load", "--orders", "1000000", "--dry-run"]) == 0

    said = " ".join(capsys.readouterr().out.split())
    assert "1,000,000 orders, 100,000 products, 40,000 retailers, 2,000 vendors" in said


def test_skew_is_derived_from_any_baskets(tmp_path: Path) -> None:
    path = tmp_path / "baskets.csv"
    path.write_text(
        "household_id,basket_id,product_id,quantity,week\n"
        + "".join(f"1,{i},A,1,1\n" for i in range(9))
        + "2,9,A,1,1\n2,9,B,3,1\n"
    )

    curves = demand.derive(path)

    assert curves["household_rank"][180] == 0.5  # nine of ten baskets are one household's of two
    assert curves["basket_lines"][179:182] == [1, 2, 2]
    assert max(curves["line_quantity"]) == 3


def test_baskets_without_their_columns_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "baskets.csv"
    path.write_text("a,b\n1,2\n")

    with pytest.raises(ValueError, match="columns needed are basket_id, household_id"):
        demand.derive(path)


def test_kept_facts_are_curves() -> None:
    curves = demand.facts()

    assert set(curves) == set(demand.CURVES)
    assert all(len(points) == demand.STEPS + 1 for points in curves.values())
    assert all(list(points) == sorted(points) for points in curves.values())
