"""A clock that stands at noon of a Monday, and an invoice due on that day."""

import pytest

from orders.models import Order
from tests.clock import Clock, moved_clock
from tests.payments.dunning_trade import MONDAY, at, make_due


@pytest.fixture
def clock(db):
    with moved_clock() as clock:
        clock.set(at(MONDAY, 12))
        yield clock


@pytest.fixture
def due(clock: Clock) -> Order:
    """An invoice of 100 rupees, due on the Monday, its shop's user reading English."""
    return make_due(clock, MONDAY)
