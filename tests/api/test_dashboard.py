"""The dashboard: today and 30 days, to each role its own."""

from decimal import Decimal

import pytest

from khaacho.actors import SYSTEM
from payments import services as payments
from payments.enums import PaymentMethod
from tests.api.clients import assert_problem
from tests.api.trade import Caller, backdate
from tests.factories import (
    advance,
    make_offer,
    make_order,
    make_product,
    make_retailer,
    make_user,
    make_vendor,
)

pytestmark = pytest.mark.django_db

NOTHING = {"orders": 0, "value": "0.00", "collection": "0.00"}
EMPTY = {
    "today": NOTHING,
    "last_30_days": NOTHING,
    "open_orders": 0,
    "outstanding": "0.00",
    "overdue": "0.00",
    "top_products": [],
}


@pytest.fixture
def trade():
    """A shop that bought from two vendors, and another shop's order from one of them."""
    shop = make_retailer()
    rice = make_offer(product=make_product(name="Rice", tax_rate=13), price=100)
    soap = make_offer(product=make_product(name="Soap"), price=30)
    for quantity, days_ago in ((1, 0), (2, 10), (50, 40)):
        backdate(make_order(shop, rice, quantity=quantity), "created_at", days_ago)
    bought = advance(make_order(shop, soap, quantity=4), "DELIVERED")
    backdate(bought, "due_date", 1)
    make_order(make_retailer(), soap, quantity=1)
    cancelled = Caller(shop.user).post(
        f"orders/{make_order(shop, rice).pk}/cancel/", {"reason": "twice"}
    )
    assert cancelled.status_code == 200
    payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=soap.vendor_id,
        amount=Decimal("50.00"),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    return shop, rice, soap


def test_a_shop_sees_what_it_bought(trade):
    shop, rice, soap = trade
    assert Caller(shop.user).get("dashboard/").json() == {
        "today": {"orders": 2, "value": "233.00", "collection": "50.00"},
        "last_30_days": {"orders": 3, "value": "459.00", "collection": "50.00"},
        "open_orders": 4,
        "outstanding": "70.00",
        "overdue": "70.00",
        "top_products": [
            {
                "product_id": rice.product_id,
                "product_name": "Rice",
                "quantity": 3,
                "value": "300.00",
            },
            {
                "product_id": soap.product_id,
                "product_name": "Soap",
                "quantity": 4,
                "value": "120.00",
            },
        ],
    }


def test_a_vendor_sees_what_it_sold(trade):
    _, _, soap = trade
    answer = Caller(soap.vendor.user).get("dashboard/").json()
    assert answer["today"] == {"orders": 2, "value": "150.00", "collection": "50.00"}
    assert [row["quantity"] for row in answer["top_products"]] == [5]


def test_staff_see_everything(trade):
    answer = Caller(make_user()).get("dashboard/").json()
    assert answer["today"] == {"orders": 3, "value": "263.00", "collection": "50.00"}
    assert answer["last_30_days"] == {"orders": 4, "value": "489.00", "collection": "50.00"}
    assert (answer["open_orders"], answer["overdue"]) == (5, "70.00")
    assert [row["product_name"] for row in answer["top_products"]] == ["Rice", "Soap"]


def test_strangers_see_nothing_of_it(trade):
    for user in (make_retailer().user, make_vendor().user):
        assert Caller(user).get("dashboard/").json() == EMPTY
    assert_problem(Caller().get("dashboard/"), 401, "not_authenticated")


def test_costs_two_statements(trade, django_assert_num_queries):
    for user in (trade[0].user, trade[1].vendor.user, make_user()):
        caller = Caller(user)
        with django_assert_num_queries(2):
            caller.get("dashboard/")
