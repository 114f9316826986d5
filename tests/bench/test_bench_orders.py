"""Order placing as the benchmark measures it, with a web server and pgbench on a trade that is committed."""

from pathlib import Path

import pytest

from bench.harness import pgbench
from bench.trade import load
from orders.models import OrderItem
from tests.bench.benches import CPU, measured
from tests.bench.conftest import make_options, quietly, write_data


@pytest.mark.processes
@pytest.mark.patient
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
