"""Disputes stop reminders of one invoice; tasks for staff are done, void, or open again."""

from datetime import timedelta

import pytest

from khaacho import jobs
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict, Forbidden, Invalid, NotFound
from khaacho.models import AuditLog
from payments import services
from payments.enums import PaymentMethod
from payments.exceptions import NothingOwed
from payments.models import CollectionTask, InvoiceDispute
from tests.factories import make_actor, make_vendor, retailer_actor, vendor_actor
from tests.payments.dunning_trade import MONDAY, make_due, morning, pay, said

pytestmark = pytest.mark.django_db


def dispute(order, *, reason="torn bags", actor=SYSTEM) -> InvoiceDispute:
    return services.open_dispute(order_id=order.pk, reason=reason, actor=actor)


def test_only_the_disputed_invoice_is_left_out(clock, due):
    other = make_due(clock, MONDAY, due.retailer)
    dispute(due)
    morning(clock, MONDAY)
    assert other.invoice_number in said()[0].body
    assert due.invoice_number not in said()[0].body


def test_when_resolved_the_ladder_goes_on_where_it_stands(clock, due):
    opened = dispute(due)
    for n in range(16):
        morning(clock, MONDAY + timedelta(days=n))
    assert said() == []
    clerk = make_actor()
    services.resolve_dispute(dispute_id=opened.pk, resolution="weighed again", actor=clerk)
    opened.refresh_from_db()
    assert (opened.resolution, opened.resolved_by_id) == ("weighed again", clerk.user_id)
    morning(clock, MONDAY + timedelta(days=16))
    assert "16 days late" in said()[0].body
    assert list(
        AuditLog.objects.filter(entity_type="dispute")
        .order_by("pk")
        .values_list("action", flat=True)
    ) == [
        "dispute.opened",
        "dispute.resolved",
    ]


def test_one_open_dispute_per_invoice(clock, due):
    first = dispute(due)
    with pytest.raises(Conflict):
        dispute(due)
    services.resolve_dispute(dispute_id=first.pk, resolution="agreed", actor=SYSTEM)
    with pytest.raises(Conflict):
        services.resolve_dispute(dispute_id=first.pk, resolution="agreed", actor=SYSTEM)
    dispute(due)
    assert InvoiceDispute.objects.filter(resolved_at=None).count() == 1


def test_who_and_what(clock, due):
    for actor in (vendor_actor(make_vendor()), retailer_actor(due.retailer)):
        with pytest.raises(Forbidden):
            dispute(due, actor=actor)
    with pytest.raises(Invalid):
        dispute(due, reason=" ")
    opened = dispute(due, actor=vendor_actor(due.vendor))
    with pytest.raises(Forbidden):
        services.resolve_dispute(
            dispute_id=opened.pk, resolution="no", actor=vendor_actor(make_vendor())
        )
    with pytest.raises(Invalid):
        services.resolve_dispute(dispute_id=opened.pk, resolution="", actor=SYSTEM)
    with pytest.raises(NotFound):
        services.open_dispute(order_id=0, reason="x", actor=SYSTEM)


def test_what_is_paid_is_not_disputed(clock, due):
    pay(due, 100)
    with pytest.raises(NothingOwed):
        dispute(due)


# Tasks


@pytest.fixture
def task(clock, due) -> CollectionTask:
    morning(clock, MONDAY + timedelta(days=45))
    return CollectionTask.objects.get()


def state(task: CollectionTask) -> tuple[str, str]:
    task.refresh_from_db()
    return task.state, task.outcome


def test_a_person_does_a_task_and_says_what_came_of_it(task):
    clerk = make_actor()
    with pytest.raises(Invalid):
        services.finish_task(task_id=task.pk, outcome="", actor=clerk)
    services.finish_task(task_id=task.pk, outcome="pays on Friday", actor=clerk)
    assert state(task) == ("DONE", "pays on Friday")
    assert (task.done_by_id, task.done_at is not None) == (clerk.user_id, True)
    assert AuditLog.objects.get(action="task.finished").reason == "pays on Friday"
    with pytest.raises(Conflict):
        services.finish_task(task_id=task.pk, outcome="again", actor=clerk)
    with pytest.raises(Forbidden):
        services.finish_task(task_id=task.pk, outcome="x", actor=vendor_actor(make_vendor()))
    with pytest.raises(NotFound):
        services.finish_task(task_id=0, outcome="x", actor=clerk)


def test_a_payment_makes_a_task_void_and_a_bounce_opens_it_again(clock, due, task):
    pay(due, 60)
    jobs.run_due()
    assert state(task) == ("OPEN", "")
    cheque = pay(due, 40, PaymentMethod.CHEQUE)
    jobs.run_due()
    assert state(task) == ("VOID", "paid")
    services.reverse_payment(payment_id=cheque.pk, reason="no cover", bounced=True, actor=SYSTEM)
    jobs.run_due()
    assert state(task) == ("OPEN", "")


def test_a_task_that_was_done_stays_done(clock, due, task):
    services.finish_task(task_id=task.pk, outcome="called", actor=SYSTEM)
    cheque = pay(due, 100, PaymentMethod.CHEQUE)
    jobs.run_due()
    services.reverse_payment(payment_id=cheque.pk, reason="no cover", bounced=True, actor=SYSTEM)
    jobs.run_due()
    assert state(task) == ("DONE", "called")
