"""Numbers for people: as long as the design says, and longer when there are more than that."""

import pytest
from django.db import connection

from credit.models import CreditLedger, Retailer
from khaacho import sql
from khaacho.models import Sequence
from orders.models import Order
from payments.models import Payment
from vendors.models import Vendor

pytestmark = pytest.mark.django_db
NUMBERED = (
    (Order, "order_number"),
    (Payment, "payment_number"),
    (CreditLedger, "entry_number"),
    (Retailer, "code"),
    (Vendor, "code"),
)


@pytest.fixture
def at():
    """Set a sequence; transactions do not put it back."""
    before: dict[str, int] = {}

    def set_to(sequence: str, last: int) -> None:
        before.setdefault(sequence, sql.fetch(f"SELECT last_value FROM {sequence}")[0][0])
        sql.fetch("SELECT setval(%s, %s)", [sequence, last])

    yield set_to
    for sequence, last in before.items():
        sql.fetch("SELECT setval(%s, %s)", [sequence, last])


@pytest.mark.parametrize(("model", "column"), NUMBERED, ids=[each[1] for each in NUMBERED])
@pytest.mark.parametrize("is_short", [True, False])
def test_no_two_are_alike(at, model, column, is_short):
    default = model._meta.get_field(column).db_default
    assert isinstance(default, Sequence)
    last = 41 if is_short else 10**default.width - 1
    at(default.sequence, last)
    (stored,) = sql.fetch_one(
        "SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d JOIN pg_attribute a"
        " ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid = %s::regclass"
        " AND a.attname = %s",
        [model._meta.db_table, column],
    )
    for expression in (stored, default.as_sql(None, connection)[0]):
        (number,) = sql.fetch_one(f"SELECT {expression}")
        last += 1
        assert number.rpartition("-")[2] == str(last).rjust(default.width, "0")
