"""The benchmark from end to end, on a small trade and with few requests: what it finds, not how fast."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from bench import session
from bench.harness import pgbench, postgres
from bench.harness.findings import Bench, Findings
from bench.harness.results import Result
from bench.harness.worlds import World
from bench.targets import order_list
from bench.trade import load
from orders.models import Order, OrderItem
from tests.bench.conftest import make_options, quietly, write_data

CPU = "CPU of the application"


@pytest.fixture
def reference() -> Iterator[None]:
    with override_settings(ROOT_URLCONF="bench.reference.urls"):
        yield


def make_bench() -> Bench:
    orders = Order.objects.count()
    return Bench(worlds={orders: World(orders)}, requests=1, load=80, soak=16, jobs=16, say=quietly)


def measured(*parts: str) -> tuple[list[Findings], dict[str, Result]]:
    findings = session.measure(make_bench(), parts)
    return findings, {result.name: result for found in findings for result in found.results}


@pytest.mark.django_db
def test_reads_are_measured_beside_their_reference(trade: Path, reference: None) -> None:
    findings, by_name = measured("1", "3", "4", "5")

    assert {result.target for result in by_name.values()} == {1, 3, 4, 5}
    assert by_name["order list: statements"].met
    cpu = by_name[f"order list, 20 rows: {CPU}"]
    assert cpu.goal == 1 / 7
    assert cpu.ours > 0
    assert cpu.reference
    assert {name for found in findings for name in found.plots} == {
        "order-list-by-size",
        "order-list-by-depth",
        "ledger-pages",
        "admin-orders",
    }
    assert by_name["admin lists that read a big table whole or count it"].ours == 0


@pytest.mark.django_db
def test_another_row_than_the_references_stops_the_run(trade: Path, reference: None) -> None:
    class Longer(order_list.Client):
        def get(self, path: str, headers: dict[str, str] | None = None) -> bytes:
            text = super().get(path, headers)
            return text.replace(b"ORD-", b"XRD-") if path == order_list.OURS else text

    shops = order_list.retailers(1)
    order_list._compare_rows(order_list.Client(shops))
    with pytest.raises(RuntimeError, match="ours shows"):
        order_list._compare_rows(Longer(shops))


@pytest.mark.processes
@pytest.mark.django_db(transaction=True)
def test_orders_are_placed_beside_their_reference_and_by_many_clients(
    tmp_path: Path, reference: None
) -> None:
    load.load(make_options(write_data(tmp_path)), tmp_path / "demo.json", quietly)
    before = OrderItem.objects.count()

    _, by_name = measured("2")

    crowd = [result for name, result in by_name.items() if name.startswith("16 clients")]
    assert [result.met for result in crowd[1:]] == [True, True]  # deadlocks, oversold packs
    assert crowd[0].ours > 0
    assert (crowd[0].reference is None) == (pgbench.find() is None)
    assert by_name[f"order of 3 lines: {CPU}"].goal == 0.4
    assert OrderItem.objects.count() > before


@pytest.mark.django_db
def test_a_plan_tells_its_indexes_and_what_it_reads_whole(trade: Path) -> None:
    found = postgres.explain("SELECT id FROM orders WHERE id = 1")
    assert found.indexes == ["orders_pkey"]
    assert found.scanned() == {}
    whole = postgres.explain("SELECT count(notes) FROM orders")
    assert whole.scanned() == {"orders": Order.objects.count()}
    with pytest.raises(ValueError, match="only a SELECT"):
        postgres.explain("DELETE FROM orders")
