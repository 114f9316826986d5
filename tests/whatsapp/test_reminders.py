"""A reminder's way through the provider: what is sent, what is not known, what certainly failed."""

from datetime import timedelta
from typing import ClassVar

import pytest

from khaacho import jobs, sql
from khaacho.models import Job
from payments import services
from payments.models import PaymentReminder, ReminderNotice
from tests.clock import Clock, moved_clock
from tests.payments.dunning_trade import MONDAY, at, make_due, morning, pay, rows, said
from whatsapp.backends import NotTaken, Undeliverable
from whatsapp.models import WhatsAppMessage
from whatsapp.services import recover_sending

pytestmark = pytest.mark.django_db


class Provider:
    """A provider at the network's edge: does what `script` says next, and remembers what it took."""

    leaves_machine = True
    script: ClassVar[list[Exception]] = []
    taken: ClassVar[list[str]] = []

    def send(self, message: WhatsAppMessage) -> str:
        error = self.script.pop(0) if self.script else None
        if error is not None:
            raise error
        self.taken.append(message.body)
        return f"provider.{message.pk}"


@pytest.fixture
def clock(db, settings):
    settings.WHATSAPP_BACKEND = f"{__name__}.Provider"
    settings.JOB_BACKOFF_SECONDS = 0
    Provider.script, Provider.taken = [], []
    with moved_clock() as clock:
        clock.set(at(MONDAY, 12))
        yield clock


@pytest.fixture
def due(clock: Clock):
    order = make_due(clock, MONDAY)
    Provider.taken.clear()
    return order


def notice() -> tuple[str, str]:
    found = ReminderNotice.objects.latest("pk")
    return found.state, found.reason


def test_a_try_that_failed_for_now_looks_again_before_the_next(clock, due):
    other = make_due(clock, MONDAY, due.retailer, quantity=2)
    Provider.taken.clear()
    Provider.script = [NotTaken("busy")]
    clock.set(at(MONDAY))
    services.find_reminders()
    jobs.run_due(queue="payment_reminders")
    event = Job.objects.get(kind__startswith="ReminderPlanned")
    jobs.run(event.pk)
    send = Job.objects.get(kind="whatsapp.send", state="queued")
    jobs.run(send.pk)
    assert (said()[0].status, notice()) == ("queued", ("QUEUED", ""))
    pay(due, 100)
    jobs.run(send.pk)
    (words,) = Provider.taken
    assert due.invoice_number not in words
    assert other.invoice_number in words
    assert (said()[0].body, notice()) == (words, ("SENT", ""))


def test_a_provider_that_cannot_today_is_asked_again_tomorrow(clock, due):
    Provider.script = [NotTaken("down")] * 3
    morning(clock, MONDAY)
    jobs.run_due()
    assert (said()[0].status, notice()) == ("failed", ("DROPPED", "not delivered: down"))
    assert rows() == [(-3, "SKIPPED")]
    morning(clock, MONDAY + timedelta(days=1))
    assert (notice(), rows()) == (("SENT", ""), [(-3, "SKIPPED"), (0, "SENT")])
    assert len(Provider.taken) == 1


def test_a_number_that_takes_nothing_is_not_tried_at_that_level_again(clock, due):
    Provider.script = [Undeliverable("no such number")]
    morning(clock, MONDAY)
    morning(clock, MONDAY + timedelta(days=1))
    assert notice() == ("DROPPED", "not delivered: no such number")
    assert rows() == [(-3, "SKIPPED"), (0, "SKIPPED")]
    assert PaymentReminder.objects.get(level=0).reason == "not delivered: no such number"
    morning(clock, MONDAY + timedelta(days=3))
    assert (notice(), len(Provider.taken)) == (("SENT", ""), 1)


def test_one_of_unknown_fate_counts_as_sent_and_never_goes_again(clock, due):
    Provider.script = [ConnectionError("cut off")]
    morning(clock, MONDAY)
    jobs.run_due()
    assert (said()[0].status, notice()) == ("unknown", ("SENT", ""))
    for n in range(3):
        morning(clock, MONDAY + timedelta(days=n))
        recover_sending(limit=10)
        jobs.run_due()
    assert (Provider.taken, rows()[-1]) == ([], (0, "SENT"))


def test_a_lost_job_leaves_one_that_may_have_arrived(clock, due):
    Provider.script = [ConnectionError("cut off")]
    clock.set(at(MONDAY))
    services.find_reminders()
    jobs.run_due()
    sql.execute("UPDATE whatsapp_messages SET status = 'sending', processed_at = NULL")
    sql.execute("UPDATE reminder_notices SET state = 'QUEUED', sent_at = NULL")
    sql.execute("UPDATE payment_reminders SET state = 'QUEUED', sent_at = NULL WHERE level = 0")
    sql.execute("UPDATE jobs SET state = 'dead'")
    clock.set(at(MONDAY, 9, 30))
    recover_sending(limit=10)
    assert (said()[0].status, notice()) == ("unknown", ("SENT", ""))


def test_a_notice_confirmed_but_never_reported_counts_as_sent_the_next_day(clock, due):
    morning(clock, MONDAY)
    sql.execute("UPDATE reminder_notices SET state = 'QUEUED', sent_at = NULL")
    sql.execute("UPDATE payment_reminders SET state = 'QUEUED', sent_at = NULL WHERE level = 0")
    morning(clock, MONDAY + timedelta(days=1))
    assert (ReminderNotice.objects.count(), notice(), len(said())) == (1, ("SENT", ""), 1)


def test_the_event_told_twice_queues_one_message(clock, due):
    morning(clock, MONDAY)
    Job.objects.filter(kind__startswith="ReminderPlanned").update(state="queued", finished_at=None)
    jobs.run_due()
    assert (len(said()), len(Provider.taken)) == (1, 1)
