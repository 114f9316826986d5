"""What people are told unasked: each fact once, in their language."""

from decimal import Decimal

import pytest

from khaacho import events, jobs
from khaacho.actors import SYSTEM
from khaacho.models import Job, User
from orders import services as orders
from orders.events import OrderOffered, OrderPlaced
from orders.models import Order, VendorOrderAcceptance
from payments import services as payments
from payments.enums import PaymentMethod
from tests.factories import make_offer, make_order, make_product, make_retailer
from tests.whatsapp.meta import Phone, english, make_shop, make_wholesaler
from whatsapp import handlers
from whatsapp.models import WhatsAppMessage

pytestmark = pytest.mark.django_db


@pytest.fixture
def trade() -> tuple[Order, Phone, Phone]:
    """A placed order of three packs, and the two phones, with nothing unread."""
    shop, shop_phone = make_shop()
    vendor, vendor_phone = make_wholesaler()
    offer = make_offer(vendor, make_product(sku="RICE-1KG", name="Rice", tax_rate=13))
    jobs.run_due()
    shop_phone.read()
    return make_order(shop, offer, quantity=3), shop_phone, vendor_phone


def read(phone: Phone) -> str:
    jobs.run_due()
    return phone.read()


def test_an_order_is_confirmed_to_the_shop_and_offered_to_the_vendor(trade):
    order, shop, vendor = trade
    assert read(shop).splitlines() == [
        f"Order {order.order_number} is placed.",
        "3 x RICE-1KG Rice @ 100.00 = 300.00",
        "VAT: NPR 39.00",
        "Total: NPR 339.00",
        f"Vendor: {order.vendor.business_name}",
    ]
    offered = vendor.read().splitlines()
    assert f"ACCEPT {order.order_number}" in offered[0]
    assert offered[1] == f"Shop: {order.retailer.shop_name}, Birendranagar"
    assert offered[-1] == "Total: NPR 339.00"
    message = WhatsAppMessage.objects.get(kind="vendor_offer")
    assert message.key == f"offer:{VendorOrderAcceptance.objects.get().pk}"
    assert [b["id"] for b in message.payload["buttons"]] == [
        f"accept:{order.order_number}",
        f"decline:{order.order_number}",
    ]


def test_the_way_to_the_door_and_the_money(trade):
    order, shop, _ = trade
    read(shop)
    orders.accept_order(order_id=order.pk, actor=SYSTEM)
    assert read(shop) == f"{order.vendor.business_name} has accepted order {order.order_number}."
    orders.pack_order(order_id=order.pk, actor=SYSTEM)
    assert read(shop) == ""
    orders.dispatch_order(order_id=order.pk, actor=SYSTEM)
    assert read(shop) == f"Order {order.order_number} has left {order.vendor.business_name}."
    orders.send_out_order(order_id=order.pk, actor=SYSTEM)
    order = orders.deliver_order(order_id=order.pk, actor=SYSTEM)
    assert read(shop) == (
        f"Order {order.order_number} is delivered. Invoice {order.invoice_number}, NPR 339.00,"
        f" due on {order.due_date:%Y-%m-%d}."
    )
    payment = payments.record_payment(
        retailer_id=order.retailer_id,
        vendor_id=order.vendor_id,
        amount=Decimal("300.00"),
        method=PaymentMethod.CASH,
        actor=SYSTEM,
    )
    name = order.vendor.business_name
    assert read(shop) == (
        f"Received NPR 300.00 for {name}, {payment.payment_number}. Thank you. Balance: NPR 39.00."
    )
    payments.reverse_payment(payment_id=payment.pk, reason="typed wrongly", actor=SYSTEM)
    assert read(shop) == (
        f"Payment {payment.payment_number} of NPR 300.00 for {name} was taken back."
        " Balance: NPR 339.00."
    )


def test_a_cancellation_is_told_to_both_when_the_vendor_had_been_asked(trade):
    order, shop, vendor = trade
    read(shop), read(vendor)
    orders.cancel_order(order_id=order.pk, reason="too dear", actor=SYSTEM)
    said = f"Order {order.order_number} is cancelled: too dear"
    assert (read(shop), vendor.read()) == (said, said)


def test_a_vendor_who_was_never_asked_hears_of_no_cancellation(trade):
    order, shop, vendor = trade
    Job.objects.filter(kind="orders.route").delete()
    orders.cancel_order(order_id=order.pk, reason="too dear", actor=SYSTEM)
    assert "is cancelled" in read(shop)
    assert vendor.read() == ""


def test_a_shop_is_told_that_we_are_looking(trade):
    order, shop, _ = trade
    read(shop)
    orders.reject_order(order_id=order.pk, reason="no rice", actor=SYSTEM)
    assert read(shop) == (
        f"No vendor could take order {order.order_number} yet. We are looking for one."
    )


def test_an_approval_is_told():
    shop = make_retailer()
    phone = english(shop)
    assert (
        read(phone) == f"Your shop {shop.shop_name} ({shop.code}) is approved. You can order now."
    )


def test_every_notice_is_queued_once_however_often_its_event_is_handled(trade):
    order, *_ = trade
    jobs.run_due()
    advance_from_pending(order)
    jobs.run_due()
    before = list(WhatsAppMessage.objects.order_by("pk").values_list("key", flat=True))
    assert len(before) == len(set(before)) == 6
    Job.objects.filter(kind__contains=">whatsapp.handlers.").update(
        state="queued", finished_at=None
    )
    assert jobs.run_due() == 6
    assert list(WhatsAppMessage.objects.order_by("pk").values_list("key", flat=True)) == before


def advance_from_pending(order: Order) -> None:
    orders.accept_order(order_id=order.pk, actor=SYSTEM)
    orders.pack_order(order_id=order.pk, actor=SYSTEM)
    orders.dispatch_order(order_id=order.pk, actor=SYSTEM)
    orders.send_out_order(order_id=order.pk, actor=SYSTEM)
    orders.deliver_order(order_id=order.pk, actor=SYSTEM)


def test_a_question_answered_meanwhile_is_not_asked(trade):
    order, *_ = trade
    question = VendorOrderAcceptance.objects.create(
        order=order, vendor=order.vendor, deadline=order.created_at, status="EXPIRED", answered_at=order.created_at
    )  # fmt: skip
    handlers.order_offered(OrderOffered(order_id=order.pk, acceptance_id=question.pk))
    assert not WhatsAppMessage.objects.filter(kind="vendor_offer").exists()


def test_each_reads_their_own_language(trade):
    _, shop, vendor = trade
    User.objects.filter(phone=shop.number).update(language="ne")
    assert "जम्मा: NPR 339.00" in read(shop)
    assert "Total: NPR 339.00" in vendor.read()


def test_people_who_left_are_told_nothing(trade):
    _, shop, _ = trade
    User.objects.filter(phone=shop.number).update(is_active=False)
    assert read(shop) == ""


def test_subscriptions_work_in_the_whatsapp_queue(trade):
    order, *_ = trade
    events.publish(OrderPlaced(order_id=order.pk))
    kinds = Job.objects.filter(kind__contains=">whatsapp.handlers.")
    assert set(kinds.values_list("queue", flat=True)) == {"whatsapp"}
