"""The demo trade has an order of every state whenever it is loaded, at night and before work begins too."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bench.trade import load
from khaacho.schedules import KATHMANDU
from orders.enums import OrderStatus
from orders.models import Order
from tests.bench.conftest import make_options, quietly, write_data
from tests.clock import moved_clock

SATURDAY = datetime(2026, 11, 28, 10, tzinfo=KATHMANDU)  # when little is ordered


@pytest.mark.django_db
@pytest.mark.parametrize("hours", range(0, 24, 2))
def test_every_state_is_there_at_any_hour(tmp_path: Path, hours: int) -> None:
    with moved_clock() as clock:
        clock.set(SATURDAY + timedelta(hours=hours))
        assert load.load(make_options(write_data(tmp_path)), tmp_path / "demo.json", quietly)
        assert set(Order.objects.values_list("status", flat=True)) == set(OrderStatus)
