"""Invoices that fall due on a day, mornings of the schedule's job, and what came of them."""

from datetime import date, datetime, time, timedelta
from decimal import Decimal

from khaacho import jobs, schedules
from khaacho.actors import SYSTEM
from khaacho.models import User
from orders.models import Order
from payments import services
from payments.dunning import KATHMANDU
from payments.enums import PaymentMethod
from payments.models import PaymentReminder
from tests.clock import Clock
from tests.factories import advance, make_offer, make_order, make_retailer
from whatsapp.models import WhatsAppMessage

MONDAY = date(2026, 12, 7)


def at(day: date, hour: int = 9, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), KATHMANDU)


def make_due(clock: Clock, day: date, shop=None, *, quantity: int = 1, offer=None) -> Order:
    now = clock.now()
    clock.set(at(day - timedelta(days=30), 8))
    shop = shop or make_retailer(credit_limit=500_000)
    User.objects.filter(pk=shop.user_id).update(language="en")
    order = advance(
        make_order(shop, offer or make_offer(price=100), quantity=quantity), "DELIVERED"
    )
    jobs.run_due()
    clock.set(now)
    assert order.due_date == day
    return order


def morning(clock: Clock, day: date, *, hour: int = 9, minute: int = 0) -> None:
    """Let the schedule's job and all that follows run at that time."""
    clock.set(at(day, hour, minute))
    schedules.tick("payment reminders due today")
    jobs.run_due()


def rows(*orders: Order) -> list[tuple[int, str]]:
    found = PaymentReminder.objects.filter(order__in=orders) if orders else PaymentReminder.objects
    return list(found.order_by("order_id", "level").values_list("level", "state"))


def said() -> list[WhatsAppMessage]:
    return list(WhatsAppMessage.objects.filter(kind="payment_reminder").order_by("pk"))


def pay(order: Order, amount: int, method: PaymentMethod = PaymentMethod.CASH):
    return services.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=Decimal(amount),
        method=method,
        actor=SYSTEM,
    )
