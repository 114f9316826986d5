"""A season of trade through the real jobs, rows and messages: PostgreSQL's clock is moved day by day."""

import random
from collections import defaultdict
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from credit.exceptions import CreditOnHold
from khaacho import jobs, schedules
from khaacho.actors import SYSTEM
from khaacho.models import User
from monitoring.invariants import run_invariants
from orders.enums import PaymentTerms
from orders.models import Order
from payments import services
from payments.dunning import KATHMANDU
from payments.enums import PaymentMethod, PaymentState, PromiseState, ReminderState
from payments.models import (
    InvoiceDispute,
    Payment,
    PaymentPromise,
    PaymentReminder,
    ReminderNotice,
)
from payments.services import Allocation
from tests.clock import Clock, moved_clock
from tests.factories import advance, make_offer, make_order, make_retailer, make_vendor
from vendors.models import VendorProduct
from whatsapp.models import WhatsAppMessage

pytestmark = pytest.mark.django_db
BEGIN = date(2026, 12, 1)
DAYS = 80


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime.combine(day, time(hour, minute), KATHMANDU)


class Season:
    """Four shops with habits of their own, two vendors, and what people do from day to day."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock, self.random = clock, random.Random(seed)
        self.offers = [make_offer(make_vendor(), price=1000, stock=99_999) for _ in range(2)]
        self.shops = [make_retailer(credit_limit=400_000) for _ in range(4)]
        self.deaf = self.shops[3]  # neither pays nor promises
        User.objects.filter(retailer__in=self.shops).update(language="en")

    def day(self, day: date) -> None:
        chance = self.random.random
        self.clock.set(at(day, 8))
        for index, shop in enumerate(self.shops):
            if chance() < 0.10:
                self.deliver(shop, self.random.choice(self.offers))
            if chance() < (0.12, 0.07, 0.04, 0.00)[index]:
                self.pay(shop)
        self.stop_or_go(day)
        self.clock.set(at(day, self.random.choice([9, 9, 9, 13, 18, 19, 22])))
        schedules.tick("payment reminders due today")
        if chance() < 0.15:  # the queue of WhatsApp is slow: something happens in between
            jobs.run_due(queue="payment_reminders")
            waiting = PaymentReminder.objects.filter(state="QUEUED").exclude(retailer=self.deaf)
            for line in waiting.select_related("order")[:1]:
                self.pay_whole(line.order)
            self.clock.set(self.clock.now() + timedelta(hours=self.random.choice([0, 1, 12])))
        jobs.run_due()

    def deliver(self, shop, offer: VendorProduct) -> None:
        quantity = self.random.randint(1, 5)
        with suppress(CreditOnHold):
            terms = self.random.choice([PaymentTerms.CREDIT, PaymentTerms.CASH])  # CASH: due today
            advance(make_order(shop, offer, quantity=quantity, terms=terms), "DELIVERED")

    def pay(self, shop) -> None:
        owing = Order.objects.filter(retailer=shop).owing().order_by("due_date").first()
        if owing is None:
            return
        services.record_payment(
            retailer_id=shop.pk,
            vendor_id=owing.vendor_id,
            amount=self.random.choice([owing.due_amount, Decimal(700)]),
            method=self.random.choice([PaymentMethod.CASH, PaymentMethod.CHEQUE]),
            actor=SYSTEM,
        )

    def pay_whole(self, order: Order) -> None:
        services.record_payment(
            retailer_id=order.retailer_id,
            vendor_id=order.vendor_id,
            amount=order.due_amount,
            method=PaymentMethod.BANK_TRANSFER,
            allocations=[Allocation(order.pk, order.due_amount)],
            actor=SYSTEM,
        )

    def stop_or_go(self, day: date) -> None:
        """Promise, pay what was promised, dispute, resolve, and let cheques come back."""
        self.keep_promises(day)
        self.promise(day)
        self.dispute()
        self.bounce()

    def keep_promises(self, day: date) -> None:
        for promise in PaymentPromise.objects.filter(state=PromiseState.OPEN, until=day):
            if promise.order.due_amount and self.random.random() < 0.5:
                self.pay_whole(promise.order)

    def promise(self, day: date) -> None:
        promised = PaymentPromise.objects.filter(state=PromiseState.OPEN)
        free = Order.objects.all().owing().exclude(retailer=self.deaf)
        free = free.exclude(pk__in=promised.values("order"))
        for order in free.order_by("pk"):
            if self.random.random() < 0.015:
                until = day + timedelta(days=self.random.randint(0, 9))
                services.record_promise(
                    retailer_id=order.retailer_id, order_id=order.pk, until=until, actor=SYSTEM
                )

    def dispute(self) -> None:
        contested = InvoiceDispute.objects.filter(resolved_at=None)
        free = Order.objects.all().owing().exclude(pk__in=contested.values("order"))
        for order in free.order_by("pk"):
            if self.random.random() < 0.01:
                services.open_dispute(order_id=order.pk, reason="torn bags", actor=SYSTEM)
        for dispute in contested.order_by("pk"):
            if self.random.random() < 0.1:
                services.resolve_dispute(dispute_id=dispute.pk, resolution="agreed", actor=SYSTEM)

    def bounce(self) -> None:
        cheques = Payment.objects.filter(
            method=PaymentMethod.CHEQUE, payment_status=PaymentState.PROCESSED
        )
        for cheque in cheques.order_by("pk"):
            if self.random.random() < 0.02:
                services.reverse_payment(
                    payment_id=cheque.pk, reason="no cover", bounced=True, actor=SYSTEM
                )


def test_a_season_breaks_no_rule():
    with moved_clock() as clock:
        clock.set(at(BEGIN - timedelta(days=1), 8))
        season = Season(clock, seed=1)
        jobs.run_due()
        for n in range(DAYS):
            season.day(BEGIN + timedelta(days=n))
        check_messages()
        check_rows()
        assert [(r.invariant.name, r.examples) for r in run_invariants() if r.violations] == []


def check_messages() -> None:
    """What went out: in open hours, one a day, three days apart, each with its notice's amount."""
    days: dict[str, list[date]] = defaultdict(list)
    sent = WhatsAppMessage.objects.filter(kind="payment_reminder", status="accepted")
    for message in sent.order_by("sent_at"):
        assert message.sent_at is not None
        local = message.sent_at.astimezone(KATHMANDU)
        assert 9 <= local.hour < 19, local
        assert local.isoweekday() != 6, local
        days[message.to_number].append(local.date())
        notice = ReminderNotice.objects.get(pk=message.payload["notice_id"])
        assert (notice.state, notice.day) == ("SENT", local.date())
        lines = PaymentReminder.objects.filter(notice=notice, state=ReminderState.SENT)
        assert lines.count() == message.body.count("VND-")
        for line in lines.select_related("order"):
            assert f"{line.order.invoice_number}," in message.body
    assert sum(map(len, days.values())) > 15
    for each in days.values():
        assert all((b - a).days >= 3 for a, b in pairwise(each))


def check_rows() -> None:
    states = set(PaymentReminder.objects.values_list("state", flat=True))
    assert states == {"SENT", "SKIPPED", "TASK"}
    assert set(ReminderNotice.objects.values_list("state", flat=True)) == {"SENT", "DROPPED"}
    dropped = ReminderNotice.objects.filter(state="DROPPED").values_list("reason", flat=True)
    assert set(dropped) == {"paid", "its hours were over"}
    promises = set(PaymentPromise.objects.values_list("state", flat=True))
    assert {"KEPT", "BROKEN"} <= promises
