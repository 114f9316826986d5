"""Acts on a selection: the page says how many can and why others cannot, then each stands alone."""

from khaacho.models import Alert, Job
from orders.models import Order
from tests.admin.conftest import signed_in
from tests.admin.desk import choose, list_of, texts
from tests.admin.test_verbs import alert, allowed, dead_job, order_at
from tests.factories import advance, make_offer, make_order, make_retailer


def test_says_how_many_can_and_why_others_cannot(admin):
    ready = [order_at("ACCEPTED")(), order_at("PLACED")()]
    closed = order_at("DELIVERED")()
    page = choose(admin, "cancel_order", *ready, closed).content.decode()
    assert "2 of 3 can be done: cancel order." in page
    assert "NPR 200.00" in page
    assert f"1, it is delivered: {closed.order_number}" in page
    assert set(Order.objects.values_list("status", flat=True)) == {
        "ACCEPTED",
        "PLACED",
        "DELIVERED",
    }


def test_does_what_can_be_done_and_names_the_rest(admin):
    ready = [order_at("ACCEPTED")(), order_at("PLACED")()]
    closed = order_at("DELIVERED")()
    done = choose(admin, "cancel_order", *ready, closed, reason="a feast", _confirm="1")
    assert "2 of 3 done" in texts(done)
    assert f"it is delivered: {closed.order_number}" in texts(done)
    cancelled = Order.objects.filter(status="CANCELLED")
    assert {order.pk for order in cancelled} == {order.pk for order in ready}
    assert {order.cancel_reason for order in cancelled} == {"a feast"}


def test_one_that_a_service_refuses_leaves_the_others_done(admin):
    shop = make_retailer()
    good = advance(make_order(shop, make_offer()), "PENDING")
    unasked = advance(make_order(shop, make_offer()), "PENDING")
    unasked.acceptances.update(status="EXPIRED", answered_at=unasked.created_at)
    done = choose(admin, "accept_order", good, unasked, _confirm="1")
    assert "1 of 2 done" in texts(done)
    assert "waits for no answer" in texts(done)
    good.refresh_from_db()
    unasked.refresh_from_db()
    assert (good.status, unasked.status) == ("ACCEPTED", "PENDING")


def test_needs_its_reason_and_keeps_the_selection(admin):
    order = order_at("ACCEPTED")()
    page = choose(admin, "cancel_order", order, reason="", _confirm="1")
    assert page.context["form"].errors["reason"]
    assert f'name="_selected_action" value="{order.pk}"' in page.content.decode()
    order.refresh_from_db()
    assert order.status == "ACCEPTED"


def test_offers_only_what_one_may_do(groups):
    order = order_at("ACCEPTED")()
    client = signed_in(allowed(order, "pack_order"))
    choices = dict(client.get(list_of(Order)).context["action_form"].fields["action"].choices)
    assert {name for name in choices if name} == {"pack_order"}
    choose(client, "cancel_order", order, reason="why not", _confirm="1")
    order.refresh_from_db()
    assert order.status == "ACCEPTED"


def test_refuses_more_than_one_request_can_carry(admin, monkeypatch):
    orders = [order_at("PLACED")() for _ in range(3)]
    monkeypatch.setattr("khaacho.adminsite.verb_pages.BULK_LIMIT", 2)
    response = choose(admin, "cancel_order", *orders, reason="all", _confirm="1")
    assert "at most 2" in texts(response)
    assert set(Order.objects.values_list("status", flat=True)) == {"PLACED"}


def test_select_all_across_pages_means_the_filtered_list(admin):
    order_at("PLACED")()
    order_at("ACCEPTED")()
    data = {"action": "cancel_order", "select_across": "1", "_selected_action": "0"}
    page = admin.post(f"{list_of(Order)}?status__exact=PLACED", data).content.decode()
    assert "1 of 1 can be done" in page


def test_dead_jobs_and_alerts_in_bulk(admin):
    choose(admin, "retry_job", dead_job(), dead_job(), _confirm="1")
    assert list(Job.objects.values_list("state", "attempts")) == [("queued", 0)] * 2
    choose(admin, "resolve_alert", alert(), reason="seen to", _confirm="1")
    assert Alert.objects.get().resolved_at is not None
