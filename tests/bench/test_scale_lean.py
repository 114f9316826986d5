"""A lean trade has orders, ledger and payments that agree with each other, and nothing else."""

from collections.abc import Iterator

import pytest
from pytest_django import DjangoDbBlocker

from bench import load, run, scale
from bench.harness.findings import Bench
from bench.harness.worlds import World
from khaacho import sql
from monitoring.invariants import credit, ledger, payments, run_invariants
from orders.models import Order
from tests.bench.test_scale import empty, quietly

pytestmark = pytest.mark.django_db

ORDERS = 1_500
LEFT_OUT = (
    "order_items",
    "order_status_logs",
    "vendor_order_acceptances",
    "whatsapp_messages",
    "jobs",
)
BOOKS = {rule.name for rule in (*ledger.INVARIANTS, *credit.INVARIANTS, *payments.INVARIANTS)}


@pytest.fixture(scope="module", autouse=True)
def trade(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    with django_db_blocker.unblock():
        empty()
        scale.load(scale.Scale(orders=ORDERS, lean=True), quietly)
        yield
        empty()


def test_orders_have_nothing_inside():
    assert Order.objects.count() == ORDERS
    assert [sql.fetch_one(f"SELECT count(*) FROM {table}") for table in LEFT_OUT] == [(0,)] * len(
        LEFT_OUT
    )


def test_books_agree():
    results = {result.invariant.name: result.violations for result in run_invariants()}
    assert len(BOOKS) > 15
    assert {name: results[name] for name in BOOKS if results[name]} == {}


def test_the_big_world_is_the_largest_that_is_whole():
    def bench(*sizes: int) -> Bench:
        return Bench({n: World(n) for n in sizes}, 1, 1, 1, 1, quietly)

    most = load.FULL_MOST
    assert bench(10, most, most + 1).big.orders == most
    assert bench(10, most, most + 1).largest.orders == most + 1
    assert bench(most + 1).big.orders == most + 1


def test_a_lean_trade_takes_less_room():
    grown = run.room(["--sizes", f"10000,{load.FULL_MOST + 1}"]) - run.room(["--sizes", "10000"])
    assert grown == run.LEAN_ORDER_BYTES * (load.FULL_MOST + 1)
