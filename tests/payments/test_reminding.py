"""Reminders from the morning's job to the message, in the database."""

from datetime import date, timedelta

import pytest

from khaacho import jobs
from khaacho.actors import SYSTEM
from khaacho.models import Job, User
from payments import services
from payments.enums import PaymentMethod
from payments.models import CollectionTask, PaymentReminder, ReminderNotice
from tests.clock import Clock
from tests.factories import make_offer, make_product, make_retailer
from tests.payments.dunning_trade import MONDAY, at, make_due, morning, pay, rows, said
from whatsapp.models import WhatsAppMessage

pytestmark = pytest.mark.django_db


def test_a_due_is_told_on_its_day(clock, due):
    morning(clock, MONDAY)
    (message,) = said()
    assert message.body.splitlines() == [
        f"Namaste {due.retailer.shop_name}. A payment is due:",
        f"{due.invoice_number}, {due.vendor.business_name}: NPR 100.00, due today, 2026-12-07",
        "Total to pay: NPR 100.00",
        "Please pay today. Thank you.",
        "Paid already, or is something wrong with an invoice? Please reply here.",
    ]
    assert (message.status, message.key) == (
        "accepted",
        f"reminder:{ReminderNotice.objects.get().pk}",
    )
    assert rows() == [(-3, "SKIPPED"), (0, "SENT")]
    notice = ReminderNotice.objects.get()
    assert (notice.state, notice.day, notice.amount) == ("SENT", MONDAY, 100)
    assert PaymentReminder.objects.get(level=0).sent_at == notice.sent_at == notice.confirmed_at


def test_a_shop_reads_its_own_language(clock, due):
    User.objects.filter(pk=due.retailer.user_id).update(language="ne")
    morning(clock, MONDAY + timedelta(days=31))
    assert "NPR 100.00, म्याद 2026-12-07, 31 दिन ढिला" in said()[0].body


def test_each_level_once_however_often_the_job_runs(clock, due):
    for hour in (9, 10, 11, 18):
        clock.set(at(MONDAY, hour))
        services.find_reminders()
        jobs.run_due()
    assert len(said()) == 1
    services.plan_reminders(retailer_id=due.retailer_id)
    assert len(rows()) == 2


def test_a_dues_whole_life_of_reminders(clock, due):
    days = []
    for n in range(-5, 100):
        day = MONDAY + timedelta(days=n)
        morning(clock, day)
        if len(said()) > len(days):
            days.append(n)
    # −3 is a Friday, 0 a Monday, and so on; 12-12 is a Saturday
    assert days == [-3, 0, 3, 7, 15, 30]
    assert rows() == [
        *((level, "SENT") for level in (-3, 0, 3, 7, 15, 30)),
        *((level, "TASK") for level in (45, 60, 90)),
    ]
    tasks = CollectionTask.objects.order_by("pk")
    assert [(t.kind, t.state, t.order_id) for t in tasks] == [
        ("CALL", "OPEN", due.pk),
        ("COLLECTOR", "OPEN", due.pk),
        ("REVIEW", "OPEN", due.pk),
    ]


def test_all_dues_of_a_shop_are_one_message(clock, due):
    other = make_due(
        clock, MONDAY - timedelta(days=8), due.retailer, offer=make_offer(price=120_000)
    )
    morning(clock, MONDAY)
    (message,) = said()
    late = "NPR 1,20,000.00, was due on 2026-11-29, 8 days late"
    assert message.body.splitlines() == [
        f"{due.retailer.shop_name}, this payment is overdue:",
        f"{other.invoice_number}, {other.vendor.business_name}: {late}",
        f"{due.invoice_number}, {due.vendor.business_name}: NPR 100.00, due today, 2026-12-07",
        "Total to pay: NPR 1,20,100.00",
        "Please pay now, or tell us the day on which you will pay.",
        "Paid already, or is something wrong with an invoice? Please reply here.",
    ]


@pytest.mark.parametrize(
    ("day", "hour", "minute"), [(0, 8, 59), (0, 19, 0), (0, 23, 0), (5, 12, 0)]
)
def test_a_job_that_runs_in_quiet_hours_sends_nothing(clock, due, day, hour, minute):
    clock.set(at(MONDAY + timedelta(days=day), hour, minute))
    services.find_reminders()
    jobs.run_due()
    assert (said(), rows()) == ([], [])
    morning(clock, MONDAY + timedelta(days=day + 1))
    assert len(said()) == 1


def plan_without_sending(clock: Clock, day: date, hour: int = 9) -> WhatsAppMessage:
    """Take a notice as far as its queued message."""
    clock.set(at(day, hour))
    services.find_reminders()
    assert jobs.run_due(queue="payment_reminders") == 1
    (event,) = Job.objects.filter(kind__startswith="ReminderPlanned", state="queued")
    assert jobs.run(event.pk)
    (message,) = said()
    assert (message.status, ReminderNotice.objects.get().state) == ("queued", "QUEUED")
    return message


def test_what_was_paid_a_minute_ago_is_not_told(clock, due):
    plan_without_sending(clock, MONDAY)
    pay(due, 100)
    jobs.run_due()
    (message,) = said()
    assert (message.status, message.is_processed, message.sent_at) == ("dropped", True, None)
    assert rows() == [(-3, "SKIPPED"), (0, "SKIPPED")]
    assert PaymentReminder.objects.get(level=0).reason == "paid"
    notice = ReminderNotice.objects.get()
    assert (notice.state, notice.reason, notice.sent_at) == ("DROPPED", "paid", None)


def test_what_was_disputed_a_minute_ago_is_not_told(clock, due):
    plan_without_sending(clock, MONDAY)
    services.open_dispute(order_id=due.pk, reason="torn bags", actor=SYSTEM)
    jobs.run_due()
    assert (said()[0].status, rows()) == ("dropped", [(-3, "SKIPPED"), (0, "SKIPPED")])
    assert ReminderNotice.objects.get().reason == "disputed"


def test_what_was_promised_a_minute_ago_is_not_told(clock, due):
    plan_without_sending(clock, MONDAY)
    services.record_promise(
        retailer_id=due.retailer_id, until=MONDAY + timedelta(days=2), actor=SYSTEM
    )
    jobs.run_due()
    assert (said()[0].status, ReminderNotice.objects.get().reason) == ("dropped", "promised")


def test_a_part_paid_a_minute_ago_is_told_as_it_is_now(clock, due):
    other = make_due(clock, MONDAY, due.retailer, quantity=3)
    plan_without_sending(clock, MONDAY)
    pay(due, 100)
    pay(other, 50)
    jobs.run_due()
    (message,) = said()
    assert message.status == "accepted"
    assert due.invoice_number not in message.body
    assert "Total to pay: NPR 250.00" in message.body
    assert rows(due)[-1] == (0, "SKIPPED")
    assert rows(other)[-1] == (0, "SENT")
    assert ReminderNotice.objects.get().amount == 250


def test_a_message_that_waited_into_the_night_is_dropped_and_planned_anew(clock, due):
    plan_without_sending(clock, MONDAY, hour=18)
    clock.set(at(MONDAY, 19))
    jobs.run_due()
    assert said()[0].status == "dropped"
    assert rows() == [(-3, "SKIPPED")]
    morning(clock, MONDAY + timedelta(days=1))
    assert [m.status for m in said()] == ["dropped", "accepted"]
    assert rows() == [(-3, "SKIPPED"), (0, "SENT")]
    assert "1 days late" in said()[1].body


def test_a_notice_goes_on_its_day_or_never(clock, due):
    message = plan_without_sending(clock, MONDAY)
    Job.objects.filter(kind="whatsapp.send").update(state="dead")
    clock.set(at(MONDAY + timedelta(days=1), 10))
    services.lapse_notices()
    assert ReminderNotice.objects.get().reason == "its day was over"
    morning(clock, MONDAY + timedelta(days=1))
    assert [m.status for m in said()] == ["queued", "accepted"]
    Job.objects.filter(kind="whatsapp.send", state="dead").update(state="queued")
    jobs.run_due()
    message.refresh_from_db()
    assert message.status == "dropped"


def test_a_message_that_waited_for_the_next_morning_is_dropped(clock, due):
    plan_without_sending(clock, MONDAY, hour=18)
    clock.set(at(MONDAY + timedelta(days=1), 9, 30))
    jobs.run_due()
    assert (said()[0].status, ReminderNotice.objects.get().state) == ("dropped", "DROPPED")
    assert rows() == [(-3, "SKIPPED")]


def test_a_notice_that_has_not_gone_yet_counts_for_the_gap(clock, due):
    make_due(clock, MONDAY + timedelta(days=1), due.retailer)
    plan_without_sending(clock, MONDAY)
    clock.set(at(MONDAY + timedelta(days=1)))
    services.plan_reminders(retailer_id=due.retailer_id)
    assert ReminderNotice.objects.count() == 1


def test_a_shop_whose_user_left_is_not_written_to(clock, due):
    User.objects.filter(pk=due.retailer.user_id).update(is_active=False)
    morning(clock, MONDAY)
    assert said() == []
    assert ReminderNotice.objects.get().reason == "the shop's user left"
    assert rows() == [(-3, "SKIPPED"), (0, "SKIPPED")]


def test_a_bounced_cheque_goes_on_where_the_ladder_stands(clock, due):
    morning(clock, MONDAY)
    cheque = pay(due, 100, PaymentMethod.CHEQUE)
    for n in range(1, 20):
        morning(clock, MONDAY + timedelta(days=n))
    assert len(said()) == 1
    services.reverse_payment(payment_id=cheque.pk, reason="no cover", bounced=True, actor=SYSTEM)
    morning(clock, MONDAY + timedelta(days=20))
    assert len(said()) == 2
    assert "20 days late" in said()[1].body
    assert rows() == [
        (-3, "SKIPPED"), (0, "SENT"), (3, "SKIPPED"), (7, "SKIPPED"), (15, "SENT"),
    ]  # fmt: skip


def test_only_shops_with_something_to_do_get_a_job(clock, due):
    make_due(clock, MONDAY + timedelta(days=4))
    paid = make_due(clock, MONDAY)
    pay(paid, 100)
    disputed = make_due(clock, MONDAY)
    services.open_dispute(order_id=disputed.pk, reason="torn", actor=SYSTEM)
    clock.set(at(MONDAY))
    assert services.find_reminders() == 1
    job = Job.objects.get(kind="payments.remind")
    assert (job.dedupe_key, job.queue) == (
        f"reminder:{due.retailer_id}:{MONDAY}",
        "payment_reminders",
    )
    assert services.find_reminders() == 0
    jobs.run_due()
    assert services.find_reminders() == 0


def test_planning_costs_the_same_for_one_due_and_many(clock, due, django_assert_num_queries):
    offer = make_offer(make_due(clock, MONDAY).vendor, make_product(), price=10)
    many = make_retailer()
    for n in reversed(range(8)):
        make_due(clock, MONDAY - timedelta(days=n), many, offer=offer)
    for shop in (due.retailer, many):
        clock.set(at(MONDAY))
        with django_assert_num_queries(11):
            services.plan_reminders(retailer_id=shop.pk)


def test_nothing_owed_is_nothing_to_plan(clock, due):
    pay(due, 100)
    assert services.plan_reminders(retailer_id=due.retailer_id).message == ()
    assert rows() == []


def test_a_job_seconds_before_nine_comes_again_at_nine(clock, due):
    morning(clock, MONDAY, hour=8, minute=59)
    assert said() == []
    (job,) = Job.objects.filter(kind="payments.remind")
    assert (job.state, job.run_after >= at(MONDAY)) == ("queued", True)
    clock.set(at(MONDAY, 9, 1))
    jobs.run_due()
    assert len(said()) == 1
    assert not Job.objects.filter(kind="payments.remind").exclude(state="done").exists()


def test_one_in_the_night_does_not_wait(clock, due):
    morning(clock, MONDAY, hour=7)
    assert not Job.objects.filter(kind="payments.remind", state="queued").exists()
