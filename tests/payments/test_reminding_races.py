"""Planners, payments and disputes of one shop at once."""

from datetime import timedelta

import pytest

from khaacho import sql
from khaacho.actors import SYSTEM
from payments import services
from payments.models import (
    CollectionTask,
    InvoiceDispute,
    PaymentPromise,
    PaymentReminder,
    ReminderNotice,
)
from tests.factories import advance, backdate_due, make_offer, make_order, make_retailer
from tests.races import crowd

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def due():
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    backdate_due(order, 75)  # due 45 days ago: a task, and a message when the hour allows
    return order


def test_many_planners_at_once_do_each_level_once(due):
    found = crowd(lambda: services.plan_reminders(retailer_id=due.retailer_id), 6)
    assert found == {"ok": 6}
    levels = list(PaymentReminder.objects.values_list("level", flat=True))
    assert len(levels) == len(set(levels))
    assert CollectionTask.objects.get().kind == "CALL"
    assert ReminderNotice.objects.count() <= 1


def test_one_dispute_and_one_promise_whoever_is_first(due):
    today = sql.fetch_one("SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date")[0]

    def promise():
        return services.record_promise(
            retailer_id=due.retailer_id,
            order_id=due.pk,
            until=today + timedelta(days=3),
            actor=SYSTEM,
        )

    def dispute():
        return services.open_dispute(order_id=due.pk, reason="torn", actor=SYSTEM)

    assert crowd([promise, dispute], 8) == {"ok": 2, "Conflict": 6}
    assert PaymentPromise.objects.count() == InvoiceDispute.objects.count() == 1
