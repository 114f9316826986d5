"""What the other verbs cost PostgreSQL: the same for one line, due or advance as for many."""

import json
from decimal import Decimal

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from khaacho.actors import SYSTEM
from khaacho.api.renderers import JSONRenderer
from orders.api.serializers import OrderSerializer
from orders.models import Order
from orders.selectors import shown
from payments import selectors, services
from payments.api.serializers import PaymentSerializer
from payments.enums import PaymentMethod
from payments.models import PaymentAllocation
from tests.api.trade import Caller
from tests.factories import (
    advance,
    make_offer,
    make_order,
    make_retailer,
    make_vendor,
    vendor_actor,
)

pytestmark = pytest.mark.django_db(transaction=True)

# With BEGIN, COMMIT, and the key's two; each verb is its lock and its write, and what stands here.
COSTS = {
    "PENDING": ("accept/", 7),  # the vendor's answer
    "ACCEPTED": ("pack/", 6),
    "PACKING": ("dispatch/", 7),  # the stock
    "DISPATCHED": ("out_for_delivery/", 6),
    "OUT_FOR_DELIVERY": ("deliver/", 7),  # the ledger
}


def sent(call) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        call()
    return [query["sql"] for query in captured]


def as_json(data):
    return json.loads(JSONRenderer().render(data))


def order_of(lines: int, status: str = "PLACED") -> Order:
    vendor = make_vendor()
    offers = [make_offer(vendor, price=10) for _ in range(lines)]
    order = make_order(make_retailer(), *offers)
    return order if status == "PLACED" else advance(order, status)


@pytest.mark.parametrize("status", COSTS)
@pytest.mark.parametrize("lines", [1, 100])
def test_a_verb_costs_the_same_however_many_lines(lines, status):
    order, (verb, cost) = order_of(lines, status), COSTS[status]
    vendor, answers = Caller(order.vendor.user), []

    seen = sent(lambda: answers.append(vendor.post(f"orders/{order.pk}/{verb}")))

    assert answers[0].status_code == 200, answers[0].content
    assert len(seen) == cost, seen
    page = shown(vendor_actor(order.vendor)).get(pk=order.pk)
    assert answers[0].json() == as_json(OrderSerializer(page).data)
    assert len(answers[0].json()["items"]) == lines


@pytest.mark.parametrize("lines", [1, 100])
def test_a_cancellation_costs_the_same_however_many_lines(lines):
    order = order_of(lines, "PENDING")
    shop, answers = Caller(order.retailer.user), []

    seen = sent(lambda: answers.append(shop.post(f"orders/{order.pk}/cancel/", {"reason": "no"})))

    assert answers[0].status_code == 200, answers[0].content
    assert len(seen) == 8, seen  # the credit and the stock beside lock and write
    page = shown(vendor_actor(order.vendor)).get(pk=order.pk)
    assert answers[0].json() == as_json(OrderSerializer(page).data)


def test_a_completion_costs_its_lock_and_its_write():
    order = order_of(1, "DELIVERED")
    shop = Caller(order.retailer.user)
    assert len(sent(lambda: shop.post(f"orders/{order.pk}/complete/"))) == 6


def owing(count: int) -> list[Order]:
    """Return delivered orders of 10 NPR of one pair."""
    shop, offer = make_retailer(), make_offer(price=10, stock=1000)
    return [advance(make_order(shop, offer), "DELIVERED") for _ in range(count)]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("dues", [1, 50])
def test_a_payment_costs_the_same_however_many_dues(dues, named):
    orders = owing(dues)
    order = orders[0]
    body = {"retailer_id": order.retailer_id, "amount": f"{dues * 10 + 5}.00", "method": "CASH"}
    if named:
        body["allocations"] = [{"order_id": o.pk, "amount": "10.00"} for o in orders]
    vendor, answers = Caller(order.vendor.user), []

    seen = sent(lambda: answers.append(vendor.post("payments/", body)))

    assert answers[0].status_code == 201, answers[0].content
    # account, payment, dues locked, ledger, dues paid, payment processed; BEGIN, COMMIT, the key's two
    assert len(seen) == 10, seen
    assert not [sql for sql in seen if "SAVEPOINT" in sql]
    page = selectors.shown(vendor_actor(order.vendor)).get(pk=answers[0].json()["id"])
    assert answers[0].json() == as_json(PaymentSerializer(page).data)
    assert [o.paid_amount for o in Order.objects.all()] == [10] * dues
    assert answers[0].json()["unallocated_amount"] == "5.00"


def test_a_payment_in_advance_pays_nothing_and_costs_less():
    order = order_of(1)
    vendor, body = Caller(order.vendor.user), {"retailer_id": order.retailer_id, "amount": "5.00"}
    answers = []
    seen = sent(lambda: answers.append(vendor.post("payments/", body | {"method": "CASH"})))
    assert (answers[0].status_code, answers[0].json()["allocations"]) == (201, [])
    assert len(seen) == 9, seen


@pytest.mark.parametrize("count", [1, 50])
def test_advances_cost_the_same_however_many(count):
    """Fifty advances for fifty dues: half a due each, so that each due takes two of them."""
    shop, offer = make_retailer(), make_offer(price=10, stock=1000)
    for _ in range(count):
        services.record_payment(
            retailer_id=shop.pk,
            vendor_id=offer.vendor_id,
            amount=Decimal(5),
            method=PaymentMethod.CASH,
            actor=SYSTEM,
        )
    for _ in range(count):
        advance(make_order(shop, offer), "DELIVERED")

    def apply():
        with transaction.atomic():
            used.append(services.apply_advances(retailer_id=shop.pk, vendor_id=offer.vendor_id))

    used: list[Decimal] = []
    seen = sent(apply)

    # actor, advances, dues, what they paid before, allocations, dues paid; BEGIN to COMMIT
    assert len(seen) == 10, seen
    assert used == [5 * count]
    assert PaymentAllocation.objects.count() == count
    assert {o.paid_amount for o in Order.objects.all()} <= {Decimal(0), Decimal(5), Decimal(10)}
