"""Payments: allocation, advance, reversal, bounced cheque."""

from decimal import Decimal

import pytest
from django.db import transaction

from credit import services as credit
from credit.models import CreditAccount, CreditLedger
from khaacho import jobs
from khaacho.actors import SYSTEM
from khaacho.exceptions import Forbidden, Invalid, NotFound
from orders import services as orders
from orders.models import Order
from payments import services
from payments.enums import PaymentMethod
from payments.exceptions import AllocationInvalid, DuplicateTransaction, NotReversible
from payments.models import Payment, PaymentAllocation
from payments.services import Allocation
from tests.factories import (
    advance,
    backdate_due,
    make_actor,
    make_offer,
    make_order,
    make_retailer,
    make_vendor,
    retailer_actor,
    vendor_actor,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def dues():
    """Three delivered orders of 100, 200 and 300 rupees at one vendor."""
    shop, offer = make_retailer(), make_offer(price=100)
    return [advance(make_order(shop, offer, quantity=n), "DELIVERED") for n in (1, 2, 3)]


def pay(order, amount, *, method=PaymentMethod.CASH, actor=SYSTEM, **fields):
    return services.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=Decimal(amount),
        method=method,
        actor=actor,
        **fields,
    )


def states(dues):
    found = Order.objects.filter(pk__in=[o.pk for o in dues]).order_by("pk")
    return [(o.payment_status, o.paid_amount) for o in found]


def test_the_oldest_due_is_paid_first(dues):
    pay(dues[0], 250)
    assert states(dues) == [("PAID", 100), ("PARTIAL", 150), ("PENDING", 0)]
    assert CreditAccount.objects.get().balance == 350


def test_named_orders_are_paid_and_the_rest_is_an_advance(dues):
    payment = pay(dues[0], 250, allocations=[Allocation(dues[2].pk, Decimal(200))])
    assert states(dues) == [("PENDING", 0), ("PENDING", 0), ("PARTIAL", 200)]
    assert (payment.allocated_amount, payment.payment_status) == (200, "PROCESSED")


def test_an_overpayment_is_an_advance_that_pays_the_next_invoice(dues):
    pay(dues[0], 650)
    assert [s for s, _ in states(dues)] == ["PAID"] * 3
    assert CreditAccount.objects.get().balance == -50
    next_order = make_order(dues[0].retailer, dues[0].items.get().offer)
    advance(next_order, "DELIVERED")
    jobs.run_due()
    next_order.refresh_from_db()
    assert (next_order.payment_status, next_order.paid_amount) == ("PARTIAL", 50)
    assert PaymentAllocation.objects.count() == 4


@pytest.mark.parametrize("amount", ["0", "-1", "1000000000000.00"])
def test_nonsense_amounts_are_invalid(dues, amount):
    with pytest.raises(Invalid):
        pay(dues[0], amount)
    assert not Payment.objects.exists()


def test_allocations_must_fit(dues):
    stranger = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    undelivered = make_order(dues[0].retailer, dues[0].items.get().offer)
    for amount, parts in (
        (500, [Allocation(dues[0].pk, Decimal("100.01"))]),
        (150, [Allocation(dues[0].pk, Decimal(100)), Allocation(dues[1].pk, Decimal(100))]),
        (500, [Allocation(dues[0].pk, Decimal(60)), Allocation(dues[0].pk, Decimal(60))]),
        (500, [Allocation(stranger.pk, Decimal(10))]),
        (500, [Allocation(undelivered.pk, Decimal(10))]),
        (500, [Allocation(dues[0].pk, Decimal(-5))]),
        (500, [Allocation(0, Decimal(5))]),
    ):
        with pytest.raises(AllocationInvalid), transaction.atomic():
            pay(dues[0], amount, allocations=parts)
    assert not Payment.objects.exists()
    assert CreditAccount.objects.get(vendor=dues[0].vendor_id).balance == 600


def test_the_same_external_transaction_is_refused(dues):
    wallet = {"method": PaymentMethod.MOBILE_MONEY, "transaction_id": "TXN-9"}
    pay(dues[0], 10, **wallet)
    with pytest.raises(DuplicateTransaction), transaction.atomic():
        pay(dues[0], 10, **wallet)
    assert CreditAccount.objects.get().balance == 590


def test_a_reversal_opens_the_orders_again(dues):
    payment = pay(dues[0], 250)
    due_dates = [o.due_date for o in dues]

    services.reverse_payment(payment_id=payment.pk, reason="wrong shop", actor=make_actor())

    assert states(dues) == [("PENDING", 0)] * 3
    assert [Order.objects.get(pk=o.pk).due_date for o in dues] == due_dates
    assert CreditAccount.objects.get().balance == 600
    mirror = CreditLedger.objects.latest("sequence")
    assert (mirror.transaction_type, mirror.amount, mirror.reverses.payment) == (
        "REVERSAL",
        250,
        payment,
    )
    with pytest.raises(NotReversible):
        services.reverse_payment(payment_id=payment.pk, reason="again", actor=make_actor())


def test_a_bounced_cheque_is_one_act(dues):
    payment = pay(dues[0], 100, method=PaymentMethod.CHEQUE)
    payment = services.reverse_payment(
        payment_id=payment.pk, reason="no funds", bounced=True, actor=make_actor()
    )
    assert (payment.bounced, payment.payment_status, payment.reversal_reason) == (
        True,
        "REVERSED",
        "no funds",
    )
    assert states(dues)[0] == ("PENDING", 0)


def test_only_cheques_bounce(dues):
    payment = pay(dues[0], 100)
    with pytest.raises(Invalid):
        services.reverse_payment(payment_id=payment.pk, reason="x", bounced=True, actor=SYSTEM)


def test_after_a_reversal_another_advance_pays(dues):
    first = pay(dues[0], 600)
    pay(dues[0], 50)
    services.reverse_payment(payment_id=first.pk, reason="wrong", actor=SYSTEM)
    jobs.run_due()
    assert states(dues)[0] == ("PARTIAL", 50)


def test_who_may(dues):
    order = dues[0]
    shop = order.retailer
    with pytest.raises(Forbidden):
        pay(order, 10, actor=retailer_actor(shop))
    with pytest.raises(Forbidden), transaction.atomic():
        pay(order, 10, actor=vendor_actor(make_vendor()))
    payment = pay(order, 10, actor=vendor_actor(order.vendor))
    for actor in (retailer_actor(shop), vendor_actor(order.vendor)):
        with pytest.raises(Forbidden), transaction.atomic():
            services.reverse_payment(payment_id=payment.pk, reason="x", actor=actor)
    with pytest.raises(NotFound):
        services.reverse_payment(payment_id=0, reason="x", actor=SYSTEM)


def test_a_blocked_shop_can_still_pay(dues):
    credit.block_retailer(retailer_id=dues[0].retailer_id, reason="late", actor=SYSTEM)
    assert pay(dues[0], 100).payment_status == "PROCESSED"


def test_dues_past_their_date_become_overdue_and_stay_so_until_paid(dues):
    backdate_due(dues[0], 31)
    assert orders.mark_overdue() == 1
    assert orders.mark_overdue() == 0
    pay(dues[0], 40)
    assert states(dues) == [("OVERDUE", 40), ("PENDING", 0), ("PENDING", 0)]
    pay(dues[0], 60)
    assert states(dues)[0] == ("PAID", 100)


def test_statements_do_not_grow_with_dues(django_assert_max_num_queries):
    shop, offer = make_retailer(), make_offer(price=10, stock=1000)
    for _ in range(12):
        order = advance(make_order(shop, offer), "DELIVERED")
    with django_assert_max_num_queries(24):
        pay(order, 120)
    assert set(states(Order.objects.all())) == {("PAID", Decimal(10))}
