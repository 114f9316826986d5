"""The benchmark from end to end, on a small trade and with few requests: what it finds, not how fast."""

from pathlib import Path

import pytest

from bench.harness import postgres, worlds
from bench.targets import desk, order_list
from khaacho import sql
from orders.models import Order
from tests.bench.benches import CPU, measured


@pytest.mark.django_db
def test_reads_are_measured_beside_their_reference(trade: Path, reference: None) -> None:
    findings, by_name = measured("1", "3", "4")

    assert {result.target for result in by_name.values()} == {1, 3, 4}
    assert by_name["order list: statements"].met
    cpu = by_name[f"order list, 20 rows: {CPU}"]
    assert cpu.goal == 1 / 7
    assert cpu.ours > 0
    assert cpu.reference
    assert {name for found in findings for name in found.plots} == {
        "order-list-by-size",
        "order-list-by-depth",
        "ledger-pages",
    }


@pytest.mark.django_db
def test_a_stock_admin_list_counts_what_ours_does_not(trade: Path, reference: None) -> None:
    if not worlds.is_superuser():
        pytest.skip("only a superuser can make a table pass for a big one")
    client = desk.signed_in()
    sql.execute("UPDATE pg_class SET reltuples = 20000 WHERE relname = 'orders'")

    stock = desk._page(client, "stock", desk.STOCK)
    ours = desk._page(client, "ours", "/admin/orders/order/")

    assert stock.faults == ("counts orders",)
    assert ours.faults == ()
    assert ours.statements <= 10


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


@pytest.mark.django_db
def test_a_plan_tells_its_indexes_and_what_it_reads_whole(trade: Path) -> None:
    found = postgres.explain("SELECT id FROM orders WHERE id = 1")
    assert found.indexes == ["orders_pkey"]
    assert found.scanned() == {}
    whole = postgres.explain("SELECT count(notes) FROM orders")
    assert whole.scanned() == {"orders": Order.objects.count()}
    with pytest.raises(ValueError, match="only a SELECT"):
        postgres.explain("DELETE FROM orders")
