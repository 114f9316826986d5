"""Promises, disputes, tasks and notices at the desk."""

from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse

from khaacho import jobs, sql
from orders.models import Order
from payments import services
from payments.models import (
    CollectionTask,
    InvoiceDispute,
    PaymentPromise,
    PaymentReminder,
    ReminderNotice,
)
from tests.admin.conftest import signed_in
from tests.admin.desk import act, choose, list_of, page_of, texts
from tests.admin.trade import trade
from tests.factories import advance, backdate_due, make_offer, make_order, make_retailer
from whatsapp.services.notices import announce_reminder

MODELS = (PaymentReminder, ReminderNotice, PaymentPromise, InvoiceDispute, CollectionTask)


@pytest.fixture
def due(db) -> Order:
    order = advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    backdate_due(order, 75)
    jobs.run_due()
    return order


def make(client: Client, model, verb: str, **fields):
    name = f"admin:payments_{model._meta.model_name}_list_verb"
    return client.post(reverse(name, args=[verb]), {**fields, "_confirm": "1"}, follow=True)


def today():
    return sql.fetch_one("SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date")[0]


@pytest.mark.parametrize("model", MODELS)
def test_pages_and_lists_open_for_staff_who_may_see_them(admin, member, model):
    trade(0)
    record = model.objects.latest("pk")
    for client in (admin, signed_in(member("Credit")), signed_in(member("Operations"))):
        assert client.get(list_of(model)).status_code == 200
        assert client.get(page_of(record)).status_code == 200
    assert signed_in(member("Catalogue")).get(list_of(model)).status_code == 403


def test_an_officer_records_and_cancels_a_promise(member, due):
    client = signed_in(member("Credit"))
    until = today() + timedelta(days=5)
    made = make(
        client,
        PaymentPromise,
        "record_promise",
        retailer=due.retailer_id,
        order=due.pk,
        until=until,
        amount="60",
    )
    assert texts(made) == "The promise is recorded."
    promise = PaymentPromise.objects.get()
    assert (promise.amount, promise.until, promise.made_by.role) == (60, until, "OPERATOR")
    act(client, promise, "cancel_promise", reason="misheard")
    promise.refresh_from_db()
    assert (promise.state, promise.reason) == ("CANCELLED", "misheard")


def test_what_a_promise_may_not_be_is_said_beside_its_field(member, due):
    client = signed_in(member("Credit"))
    until = today() + timedelta(days=60)
    page = make(client, PaymentPromise, "record_promise", retailer=due.retailer_id, until=until)
    assert page.context["form"].errors["until"] == [
        "A day from today on, and within 30 days of it."
    ]
    assert not PaymentPromise.objects.exists()


def test_an_officer_opens_and_resolves_a_dispute(member, due):
    client = signed_in(member("Credit"))
    made = make(client, InvoiceDispute, "open_dispute", order=due.pk, reason="torn bags")
    assert texts(made) == "The dispute is open."
    dispute = InvoiceDispute.objects.get()
    act(client, dispute, "resolve_dispute", resolution="weighed again")
    dispute.refresh_from_db()
    assert dispute.resolution == "weighed again"
    assert list(client.get(list_of(InvoiceDispute)).context["cl"].result_list) == []
    closed = client.get(list_of(InvoiceDispute), {"resolution": "closed"})
    assert list(closed.context["cl"].result_list) == [dispute]


def test_tasks_are_done_one_by_one_or_many_at_once(member, due):
    services.plan_reminders(retailer_id=due.retailer_id)
    client = signed_in(member("Credit"))
    task = CollectionTask.objects.get()
    choose(client, "finish_task", task, outcome="pays on Friday", _confirm="1")
    task.refresh_from_db()
    assert (task.state, task.outcome) == ("DONE", "pays on Friday")


@pytest.mark.parametrize("group", ["Operations", "Support", "Catalogue"])
def test_others_look_but_do_not_touch(member, due, group):
    client = signed_in(member(group))
    refused = make(client, InvoiceDispute, "open_dispute", order=due.pk, reason="torn bags")
    assert refused.status_code == 403
    assert not InvoiceDispute.objects.exists()


def test_the_pages_of_shop_and_order_show_them(admin):
    trade(0)
    order = Order.objects.filter(disputes__isnull=False).get()
    for record in (order, order.retailer):
        page = admin.get(page_of(record)).content.decode()
        for text in ("Reminders", "Promises", "Disputes", "one bag was torn"):
            assert text in page, text
    assert "Collection tasks" in admin.get(page_of(order.retailer)).content.decode()


def test_a_notices_page_shows_the_message_sent(admin, due):
    notice = ReminderNotice.objects.create(retailer=due.retailer, day=today(), amount=100)
    PaymentReminder.objects.create(order=due, retailer=due.retailer, notice=notice, level=30)
    announce_reminder(notice.pk)
    page = admin.get(page_of(notice)).content.decode()
    assert due.invoice_number in page
    assert "NPR 100.00" in page


def test_reminders_are_filtered_by_state_and_level(admin):
    trade(0)
    (reminder,) = PaymentReminder.objects.all()
    for query, count in (
        ({"level": "friendly"}, 1),
        ({"level": "hold"}, 0),
        ({"state__exact": "QUEUED"}, 1),
        ({"q": reminder.retailer.code}, 1),
        ({"q": reminder.order.order_number}, 1),
    ):
        assert admin.get(list_of(PaymentReminder), query).context["cl"].result_count == count, query
