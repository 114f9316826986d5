"""Cancel and complete: who may, until when, and that nothing is left behind."""

from decimal import Decimal

import pytest

from credit.models import CreditAccount, Retailer
from khaacho.actors import SYSTEM
from khaacho.exceptions import Forbidden, Invalid, NotFound
from khaacho.models import Job
from orders import services, tasks
from orders.enums import OrderStatus, PaymentTerms
from orders.exceptions import IllegalTransition
from orders.models import Order, OrderStatusLog, VendorOrderAcceptance
from tests.factories import (
    advance,
    make_actor,
    make_offer,
    make_order,
    make_retailer,
    make_vendor,
    retailer_actor,
    vendor_actor,
)

pytestmark = pytest.mark.django_db
WAY = ["PLACED", "PENDING", "ACCEPTED", "PACKING", "DISPATCHED", "OUT_FOR_DELIVERY"]


def at(status, **kwargs):
    shop, offer = make_retailer(), make_offer(stock=10, price=100)
    order = make_order(shop, offer, quantity=4, **kwargs)
    return shop, offer, order if status == "PLACED" else advance(order, status)


@pytest.mark.parametrize("status", WAY)
@pytest.mark.parametrize("terms", PaymentTerms)
def test_a_cancelled_order_nets_to_zero(status, terms):
    shop, offer, order = at(status, terms=terms)
    staff = make_actor()

    order = services.cancel_order(order_id=order.pk, reason="closed for good", actor=staff)

    offer.refresh_from_db()
    assert (offer.stock, offer.reserved) == (10, 0)
    account = CreditAccount.objects.get()
    assert (account.balance, account.reserved) == (0, 0)
    assert Retailer.objects.get(pk=shop.pk).reserved_credit == 0
    assert (order.status, order.cancel_reason) == ("CANCELLED", "closed for good")
    last = OrderStatusLog.objects.latest("sequence")
    assert (last.from_status, last.actor_id, last.reason) == (
        status,
        staff.user_id,
        "closed for good",
    )
    assert not VendorOrderAcceptance.objects.filter(status="PENDING").exists()


@pytest.mark.parametrize("status", WAY)
def test_a_retailer_cancels_until_dispatch(status):
    shop, _, order = at(status)
    actor = retailer_actor(shop)
    if status in WAY[:4]:
        services.cancel_order(order_id=order.pk, reason="mistake", actor=actor)
        return
    with pytest.raises(IllegalTransition, match="ask the vendor"):
        services.cancel_order(order_id=order.pk, reason="mistake", actor=actor)


@pytest.mark.parametrize("status", ["DELIVERED", "COMPLETED"])
def test_nobody_cancels_after_delivery(status):
    _, offer, order = at(status)
    for actor in (SYSTEM, vendor_actor(offer.vendor)):
        with pytest.raises(IllegalTransition):
            services.cancel_order(order_id=order.pk, reason="late", actor=actor)


def test_another_shop_or_vendor_does_not_see_the_order():
    _, _, order = at("ACCEPTED")
    for actor in (retailer_actor(make_retailer()), vendor_actor(make_vendor())):
        for verb in (services.pack_order, services.complete_order):
            with pytest.raises(NotFound):
                verb(order_id=order.pk, actor=actor)
        with pytest.raises(NotFound):
            services.cancel_order(order_id=order.pk, reason="x", actor=actor)


def test_a_reason_is_needed():
    _, _, order = at("PLACED")
    with pytest.raises(Invalid):
        services.cancel_order(order_id=order.pk, reason="  ", actor=SYSTEM)


def test_the_shop_does_not_do_the_vendors_work():
    shop, _, order = at("ACCEPTED")
    with pytest.raises(Forbidden):
        services.pack_order(order_id=order.pk, actor=retailer_actor(shop))


def test_the_vendor_does_not_complete():
    _, offer, order = at("DELIVERED")
    with pytest.raises(Forbidden):
        services.complete_order(order_id=order.pk, actor=vendor_actor(offer.vendor))


def test_completion_after_three_days_by_itself():
    _, _, order = at("DELIVERED")
    tasks.find_completable()
    assert not Job.objects.filter(kind="orders.complete").exists()
    Order.objects.update(delivered_at="2026-01-01T00:00:00Z")

    tasks.find_completable()
    tasks.find_completable()
    job = Job.objects.get(kind="orders.complete")
    tasks.complete(**job.args)
    tasks.complete(**job.args)

    order.refresh_from_db()
    assert order.status == OrderStatus.COMPLETED


def test_terms_of_delivery():
    _, _, order = at("OUT_FOR_DELIVERY")
    CreditAccount.objects.update(payment_terms_days=45)
    order = services.deliver_order(order_id=order.pk, actor=SYSTEM)
    assert (order.due_date - order.delivered_at.astimezone().date()).days in (44, 45, 46)
    entry = order.ledger_entry
    assert (entry.amount, entry.due_date, entry.key) == (
        Decimal(400),
        order.due_date,
        f"order:{order.pk}:debit",
    )


def test_cash_is_due_on_delivery_even_past_the_limit():
    shop, offer = make_retailer(credit_limit=0), make_offer(price=100)
    order = advance(make_order(shop, offer, terms=PaymentTerms.CASH), "DELIVERED")
    assert CreditAccount.objects.get().balance == Decimal(100)
    assert (order.due_date - order.created_at.date()).days <= 1
