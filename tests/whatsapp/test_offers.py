"""The vendor's dialogue: accepting and declining what was offered."""

import pytest

from khaacho.actors import SYSTEM
from orders.models import Order, VendorOrderAcceptance
from tests.factories import advance, make_offer, make_order, make_product, make_retailer
from tests.whatsapp.meta import Phone, make_wholesaler
from vendors import services as vendors
from vendors.models import Vendor
from whatsapp.models import WhatsAppMessage

pytestmark = pytest.mark.django_db


@pytest.fixture
def asked() -> tuple[Vendor, Phone, Order]:
    vendor, phone = make_wholesaler()
    offer = make_offer(vendor, make_product(sku="RICE-1KG"))
    return vendor, phone, advance(make_order(make_retailer(), offer, quantity=3), "PENDING")


def test_accepts(asked):
    vendor, phone, order = asked
    answer = phone.say(f"ACCEPT {order.order_number}")
    assert answer == f"You accepted order {order.order_number}. Please pack it."
    order.refresh_from_db()
    assert order.status == "ACCEPTED"
    question = VendorOrderAcceptance.objects.get()
    assert (question.status, question.answered_by_id) == ("ACCEPTED", vendor.user_id)


def test_accepts_by_button(asked):
    _, phone, order = asked
    assert "You accepted" in phone.tap(f"accept:{order.order_number}")
    order.refresh_from_db()
    assert order.status == "ACCEPTED"


def test_declines_with_a_reason(asked):
    _, phone, order = asked
    assert phone.say(f"decline {order.order_number.lower()} no rice left") == (
        f"You declined order {order.order_number}."
    )
    question = VendorOrderAcceptance.objects.get()
    assert (question.status, question.reason) == ("REJECTED", "no rice left")
    order.refresh_from_db()
    assert order.status == "PLACED"


def test_declines_by_button(asked):
    _, phone, order = asked
    assert "You declined" in phone.tap(f"decline:{order.order_number}")
    assert VendorOrderAcceptance.objects.get().reason == "declined by button on WhatsApp"


def test_a_typed_decline_needs_a_reason(asked):
    _, phone, order = asked
    assert "Please add the reason" in phone.say(f"DECLINE {order.order_number}")
    assert VendorOrderAcceptance.objects.get().status == "PENDING"


def test_the_first_answer_wins(asked):
    _, phone, order = asked
    phone.say(f"ACCEPT {order.order_number}")
    for second in (
        phone.say(f"ACCEPT {order.order_number}"),
        phone.say(f"DECLINE {order.order_number} no"),
    ):
        assert second == f"Order {order.order_number} waits for no answer: it is ACCEPTED."
    order.refresh_from_db()
    assert order.status == "ACCEPTED"


def test_a_redelivered_acceptance_is_answered_once(asked):
    _, phone, order = asked
    assert "You accepted" in phone.say(f"ACCEPT {order.order_number}", wamid="wamid.yes")
    assert phone.say(f"ACCEPT {order.order_number} ", wamid="wamid.yes") == ""


@pytest.mark.parametrize("verb", ["ACCEPT {}", "DECLINE {} no"])
def test_another_vendors_order_does_not_exist(asked, verb):
    _, _, order = asked
    _, other = make_wholesaler()
    assert other.say(verb.format(order.order_number)) == (
        f"There is no order {order.order_number} for you."
    )
    assert VendorOrderAcceptance.objects.get().status == "PENDING"


def test_an_order_that_does_not_exist(asked):
    _, phone, _ = asked
    assert "no order ORD-2000-0000001 for you" in phone.say("ACCEPT ORD-2000-0000001")


@pytest.mark.parametrize("words", ["ok", "accept", "ACCEPT 123", "RICE-1KG x 10", "CONFIRM", "hi"])
def test_anything_else_gets_the_vendors_help(asked, words):
    _, phone, _ = asked
    assert phone.say(words).startswith("To answer an offer, send:")
    assert VendorOrderAcceptance.objects.get().status == "PENDING"


def test_a_retailer_cannot_accept(asked):
    _, _, order = asked
    shop = Phone(order.retailer.user.phone)
    shop.say(f"ACCEPT {order.order_number}")
    shop.tap(f"accept:{order.order_number}")
    order.refresh_from_db()
    assert order.status == "PENDING"


def test_a_blocked_vendor_is_told_in_words(asked):
    vendor, phone, order = asked
    vendors.block_vendor(vendor_id=vendor.pk, reason="unpaid", actor=SYSTEM)
    assert "may not trade at the moment" in phone.say(f"ACCEPT {order.order_number}")
    order.refresh_from_db()
    assert order.status == "PENDING"


def test_the_reply_names_the_order_it_is_about(asked):
    _, phone, order = asked
    phone.say(f"ACCEPT {order.order_number}")
    assert WhatsAppMessage.objects.get(in_reply_to__isnull=False).order_id == order.pk
