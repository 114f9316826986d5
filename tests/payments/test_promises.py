"""Promises to pay: recorded, kept, broken, cancelled; they stop reminders and become tasks."""

from datetime import timedelta
from decimal import Decimal

import pytest

from khaacho import jobs
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.models import AuditLog
from payments import services
from payments.enums import PaymentMethod
from payments.exceptions import NothingOwed
from payments.models import CollectionTask, PaymentPromise
from tests.factories import make_actor, make_retailer, make_vendor, retailer_actor, vendor_actor
from tests.payments.dunning_trade import MONDAY, at, make_due, morning, pay, said

pytestmark = pytest.mark.django_db
FRIDAY = MONDAY + timedelta(days=4)


def promise(order, *, until=FRIDAY, actor=SYSTEM, **fields) -> PaymentPromise:
    fields = {"order_id": order.pk, **fields}
    return services.record_promise(
        retailer_id=order.retailer_id, until=until, actor=actor, **fields
    )


def states() -> list[str]:
    return list(PaymentPromise.objects.order_by("pk").values_list("state", flat=True))


def test_a_promise_without_an_amount_is_of_all_that_is_due(clock, due):
    clerk = make_actor()
    made = promise(due, actor=clerk, note="his son pays")
    assert (made.amount, made.until, made.state, made.made_by_id) == (
        100,
        FRIDAY,
        "OPEN",
        clerk.user_id,
    )
    entry = AuditLog.objects.get(action="promise.recorded")
    assert (entry.entity_id, entry.reason, entry.user_id) == (
        made.pk,
        "his son pays",
        clerk.user_id,
    )


def test_it_stops_reminders_through_its_day_and_they_resume_when_it_is_broken(clock, due):
    promise(due)
    for n in range(5):
        morning(clock, MONDAY + timedelta(days=n))
    assert said() == []
    morning(clock, MONDAY + timedelta(days=5))  # Saturday: broken, but nobody is written to
    assert (states(), said()) == (["BROKEN"], [])
    task = CollectionTask.objects.get()
    assert (task.kind, task.order_id, task.promise.until, task.state) == (
        "PROMISE",
        due.pk,
        FRIDAY,
        "OPEN",
    )
    morning(clock, MONDAY + timedelta(days=6))
    assert len(said()) == 1
    assert "6 days late" in said()[0].body


def test_a_promise_of_all_dues_stops_all_of_them(clock, due):
    make_due(clock, MONDAY - timedelta(days=7), due.retailer)
    made = promise(due, order_id=None)
    assert made.amount == 200
    morning(clock, MONDAY)
    assert said() == []
    pay(due, 100)
    jobs.run_due()
    assert states() == ["OPEN"]
    morning(clock, MONDAY + timedelta(days=5))
    assert states() == ["BROKEN"]


def test_a_payment_keeps_it(clock, due):
    promise(due, amount=Decimal(60))
    pay(due, 59)
    jobs.run_due()
    assert states() == ["OPEN"]
    pay(due, 1)
    jobs.run_due()
    assert states() == ["KEPT"]
    morning(clock, MONDAY)
    assert "Total to pay: NPR 40.00" in said()[0].body


def test_a_promise_of_all_dues_is_kept_by_payments_to_any_vendor(clock, due):
    other = make_due(clock, MONDAY, due.retailer)
    promise(due, order_id=None)
    pay(due, 100)
    pay(other, 100)
    jobs.run_due()
    assert states() == ["KEPT"]


def test_what_was_paid_before_does_not_keep_it(clock, due):
    pay(due, 70)
    clock.set(at(MONDAY, 13))
    promise(due, amount=Decimal(30))
    jobs.run_due()
    morning(clock, MONDAY + timedelta(days=6))
    assert states() == ["BROKEN"]


def test_one_that_was_kept_by_a_cheque_is_broken_when_it_bounces(clock, due):
    promise(due)
    cheque = pay(due, 100, PaymentMethod.CHEQUE)
    jobs.run_due()
    assert states() == ["KEPT"]
    services.reverse_payment(payment_id=cheque.pk, reason="no cover", bounced=True, actor=SYSTEM)
    jobs.run_due()
    assert states() == ["BROKEN"]
    assert CollectionTask.objects.get().kind == "PROMISE"


def test_a_bounce_breaks_no_promise_that_it_had_not_kept(clock, due):
    early = pay(due, 10, PaymentMethod.CHEQUE)
    clock.set(at(MONDAY, 13))
    promise(due, amount=Decimal(50))
    pay(due, 50)
    jobs.run_due()
    services.reverse_payment(payment_id=early.pk, reason="no cover", bounced=True, actor=SYSTEM)
    jobs.run_due()
    assert states() == ["KEPT"]


@pytest.mark.parametrize("days", [-1, 31])
def test_a_day_in_the_past_or_far_ahead_is_refused(clock, due, days):
    with pytest.raises(Invalid):
        promise(due, until=MONDAY + timedelta(days=days))
    assert states() == []


@pytest.mark.parametrize("days", [0, 30])
def test_from_today_to_thirty_days(clock, due, days):
    assert promise(due, until=MONDAY + timedelta(days=days)).state == "OPEN"


@pytest.mark.parametrize("amount", ["0", "-1", "100.01"])
def test_amounts_that_make_no_sense_are_refused(clock, due, amount):
    with pytest.raises(Invalid):
        promise(due, amount=Decimal(amount))


def test_what_is_paid_needs_no_promise(clock, due):
    pay(due, 100)
    with pytest.raises(NothingOwed):
        promise(due)
    with pytest.raises(NothingOwed):
        promise(due, order_id=None)


def test_one_open_promise_of_each_kind(clock, due):
    promise(due)
    promise(due, order_id=None)
    for order_id in (due.pk, None):
        with pytest.raises(Conflict):
            promise(due, order_id=order_id)
    assert states() == ["OPEN", "OPEN"]


def test_who_may_record_and_cancel(clock, due):
    other = make_vendor()
    for actor in (vendor_actor(other), retailer_actor(due.retailer)):
        with pytest.raises(Forbidden):
            promise(due, actor=actor)
    with pytest.raises(Forbidden):
        promise(due, order_id=None, actor=vendor_actor(due.vendor))
    made = promise(due, actor=vendor_actor(due.vendor))
    for actor in (vendor_actor(other), retailer_actor(due.retailer)):
        with pytest.raises(Forbidden):
            services.cancel_promise(promise_id=made.pk, reason="no", actor=actor)
    whole = promise(due, order_id=None)
    with pytest.raises(Forbidden):
        services.cancel_promise(promise_id=whole.pk, reason="no", actor=vendor_actor(due.vendor))
    with pytest.raises(NotFound):
        services.record_promise(
            retailer_id=make_retailer().pk, order_id=due.pk, until=FRIDAY, actor=SYSTEM
        )
    assert states() == ["OPEN", "OPEN"]


def test_a_cancelled_promise_lets_reminders_go_on(clock, due):
    made = promise(due)
    with pytest.raises(Invalid):
        services.cancel_promise(promise_id=made.pk, reason=" ", actor=SYSTEM)
    services.cancel_promise(promise_id=made.pk, reason="misheard", actor=SYSTEM)
    assert states() == ["CANCELLED"]
    with pytest.raises(Conflict):
        services.cancel_promise(promise_id=made.pk, reason="misheard", actor=SYSTEM)
    morning(clock, MONDAY)
    assert len(said()) == 1
    assert promise(due).state == "OPEN"
    assert not CollectionTask.objects.exists()
