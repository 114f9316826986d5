"""One order's whole way, with every figure."""

from decimal import Decimal

import pytest

from credit.models import CreditAccount, CreditLedger, Retailer
from khaacho.actors import SYSTEM
from orders.models import OrderStatusLog
from payments import services as payments
from payments.enums import PaymentMethod
from tests.factories import advance, make_offer, make_order, make_product, make_retailer

pytestmark = pytest.mark.django_db


def test_an_order_from_placing_to_paid():
    shop = make_retailer(credit_limit=1000)
    offer = make_offer(product=make_product(tax_rate=13), price=Decimal("33.35"), stock=10)

    order = make_order(shop, offer, quantity=3)
    assert (order.subtotal, order.tax_amount, order.total) == (
        Decimal("100.05"),
        Decimal("13.01"),
        Decimal("113.06"),
    )
    offer.refresh_from_db()
    account = CreditAccount.objects.get()
    assert (offer.stock, offer.reserved) == (10, 3)
    assert (account.reserved, account.balance) == (order.total, 0)

    order = advance(order, "DELIVERED")
    offer.refresh_from_db()
    account.refresh_from_db()
    assert (offer.stock, offer.reserved) == (7, 0)
    assert (account.reserved, account.balance) == (0, order.total)
    assert Retailer.objects.get().outstanding_debt == order.total
    assert order.invoice_number.endswith("/00001")

    payment = payments.record_payment(
        retailer_id=shop.pk,
        vendor_id=offer.vendor_id,
        amount=Decimal("120.00"),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    order.refresh_from_db()
    account.refresh_from_db()
    assert (order.payment_status, order.due_amount) == ("PAID", 0)
    assert account.balance == Decimal("-6.94")
    assert payment.allocated_amount == order.total

    payments.reverse_payment(payment_id=payment.pk, reason="typed wrongly", actor=SYSTEM)
    order.refresh_from_db()
    assert (order.payment_status, order.paid_amount) == ("PENDING", 0)
    assert list(CreditLedger.objects.order_by("sequence").values_list("amount", flat=True)) == [
        Decimal("113.06"),
        Decimal("-120.00"),
        Decimal("120.00"),
    ]
    assert list(
        OrderStatusLog.objects.order_by("sequence").values_list("to_status", flat=True)
    ) == [
        "PLACED",
        "PENDING",
        "ACCEPTED",
        "PACKING",
        "DISPATCHED",
        "OUT_FOR_DELIVERY",
        "DELIVERED",
    ]
