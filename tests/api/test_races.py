"""The same request many times at once, over the API."""

import pytest

from credit.models import CreditAccount
from khaacho.models import IdempotencyKey, Job
from monitoring.invariants import run_invariants
from orders.models import Order
from payments.models import Payment
from tests.api.trade import Caller
from tests.factories import advance, make_offer, make_order, make_retailer
from tests.races import crowd

pytestmark = pytest.mark.django_db(transaction=True)


def send_at_once(user, path, body, size):
    """Send one request `size` times under one key; return the answers and check that all agree."""
    answers = []

    def send():
        answers.append(Caller(user).post(path, body, key="one-key"))

    assert crowd(send, size) == {"ok": size}
    done = [answer for answer in answers if answer.status_code == 201]
    rest = [answer for answer in answers if answer.status_code != 201]
    assert {answer.json()["code"] for answer in rest} <= {"request_in_progress"}
    assert len({answer.content for answer in done}) == 1
    assert sum("Idempotency-Replayed" not in answer for answer in done) == 1
    assert [result.name for result in run_invariants() if result.violations] == []


def test_fifty_identical_orders_make_one_order():
    shop, offer = make_retailer(), make_offer(price=100, stock=100)
    body = {
        "vendor_id": offer.vendor_id,
        "payment_terms": "CREDIT",
        "items": [{"product_id": offer.product_id, "quantity": 3}],
    }

    send_at_once(shop.user, "orders/", body, 50)

    assert Order.objects.count() == IdempotencyKey.objects.count() == 1
    assert Job.objects.filter(kind="orders.route").count() == 1
    offer.refresh_from_db()
    assert (offer.reserved, CreditAccount.objects.get().reserved) == (3, 300)


def test_twenty_identical_payments_are_one_payment():
    order = advance(make_order(make_retailer(), make_offer(price=100)), "DELIVERED")
    body = {"retailer_id": order.retailer_id, "amount": "100.00", "method": "CASH"}

    send_at_once(order.vendor.user, "payments/", body, 20)

    assert Payment.objects.count() == 1
    assert CreditAccount.objects.get().balance == 0
