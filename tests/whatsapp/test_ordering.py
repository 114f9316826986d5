"""The retailer's dialogue: lines, summary, confirmation; and every way in which it is not an order."""

from decimal import Decimal

import pytest

from credit import services as credit
from credit.models import CreditAccount
from khaacho import jobs, sql
from khaacho.actors import SYSTEM
from khaacho.models import Job, User
from orders.models import Order, OrderItem, OrderRefusal
from tests.factories import advance, make_offer, make_order, make_product, make_user
from tests.whatsapp.meta import Phone, button, envelope, make_shop, message, post, text
from vendors import services as vendors
from vendors.models import Product, VendorProduct
from whatsapp.models import WhatsAppConversation, WhatsAppMessage

pytestmark = pytest.mark.django_db


@pytest.fixture
def rice() -> VendorProduct:
    product = make_product(sku="RICE-1KG", name="Rice 1 kg", tax_rate=13)
    return make_offer(product=product, price=Decimal("100.00"), stock=50)


@pytest.fixture
def atta(rice) -> VendorProduct:
    product = make_product(sku="ATTA-5", name="Atta 5 kg")
    return make_offer(rice.vendor, product, price=Decimal("250.00"), stock=50)


def draft(phone: Phone) -> dict[str, int] | None:
    kept = WhatsAppConversation.objects.get(phone=phone.number).draft
    return kept and {Product.objects.get(pk=p).sku: packs for p, packs in kept["items"].items()}


def expire(phone: Phone) -> None:
    sql.execute(
        "UPDATE whatsapp_conversations SET draft_expires_at = now() WHERE phone = %s",
        [phone.number],
    )


def test_lines_are_answered_by_a_summary_and_order_nothing(rice, atta):
    _, phone = make_shop(credit_limit=5000)
    answer = phone.say("RICE-1KG x 10\n2 atta-5")
    assert answer.splitlines() == [
        "Your order:",
        "10 x RICE-1KG Rice 1 kg @ 100.00 = 1,000.00",
        "2 x ATTA-5 Atta 5 kg @ 250.00 = 500.00",
        "VAT: NPR 130.00",
        "Total: NPR 1,630.00",
        "Credit left: NPR 5,000.00",
        f"Vendor: {rice.vendor.business_name}",
        "Reply CONFIRM or CANCEL.",
    ]
    assert draft(phone) == {"RICE-1KG": 10, "ATTA-5": 2}
    summary = WhatsAppMessage.objects.get(body=answer)
    assert [b["id"] for b in summary.payload["buttons"]] == ["confirm", "cancel"]
    assert summary.status == "accepted"
    assert not Order.objects.exists()
    assert not CreditAccount.objects.exists()
    rice.refresh_from_db()
    assert rice.reserved == 0


@pytest.mark.parametrize("word", ["CONFIRM", "1", "yes", "ok", "ho", "हो", "१", "button"])
def test_a_confirmation_places_the_order(rice, word):
    shop, phone = make_shop()
    phone.say("RICE-1KG x 10")
    answer = phone.tap("confirm", wamid="wamid.yes") if word == "button" else phone.say(word, wamid="wamid.yes")  # fmt: skip
    order = Order.objects.get()
    assert f"Order {order.order_number} is placed." in answer
    assert "Total: NPR 1,130.00" in answer
    assert (order.source, order.source_key) == ("WHATSAPP", "wamid.yes")
    assert (order.retailer_id, order.placed_by_id) == (shop.pk, shop.user_id)
    assert (order.total, order.payment_terms) == (Decimal("1130.00"), "CREDIT")
    assert list(OrderItem.objects.values_list("sku", "quantity")) == [("RICE-1KG", 10)]
    assert draft(phone) is None
    told = WhatsAppMessage.objects.filter(to_number=phone.number, kind="order_confirmation")
    assert [m.key for m in told] == [f"order:{order.pk}:placed:retailer"]
    assert told[0].order_id == order.pk
    assert told[0].in_reply_to.provider_message_id == "wamid.yes"


def test_a_second_confirmation_makes_no_second_order(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    phone.say("CONFIRM")
    assert "no order waiting" in phone.say("CONFIRM")
    assert "no order waiting" in phone.tap("confirm")
    assert Order.objects.count() == 1


def test_a_redelivered_confirmation_makes_no_second_order_and_no_second_answer(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    yes = text(phone.number, "CONFIRM", wamid="wamid.yes")
    assert "is placed" in phone.deliver(yes)
    phone.say("RICE-1KG x 3")
    assert phone.deliver(yes) == ""
    assert phone.deliver(yes, yes) == ""
    assert Order.objects.count() == 1
    assert draft(phone) == {"RICE-1KG": 3}


def test_an_answered_message_is_left_alone_when_its_job_runs_again(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    phone.say("CONFIRM")
    before = WhatsAppMessage.objects.count()
    Job.objects.filter(kind="whatsapp.answer").update(state="queued", finished_at=None)
    jobs.run_due()
    assert Order.objects.count() == 1
    assert WhatsAppMessage.objects.count() == before


def test_later_messages_of_one_body_are_answered_in_the_senders_order(rice, atta):
    _, phone = make_shop()
    lines = text(phone.number, "RICE-1KG x 2", at=1_700_000_001)
    more = text(phone.number, "ATTA-5 x 1", at=1_700_000_002)
    yes = text(phone.number, "CONFIRM", at=1_700_000_003)
    phone.deliver(yes, more, lines)
    assert Order.objects.get().total == Decimal("476.00")


def test_items_are_merged_and_named_again_they_are_set_anew(rice, atta):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    phone.say("ATTA-5 x 2")
    assert "3 x RICE-1KG" in phone.say("RICE-1KG x 3")
    assert draft(phone) == {"RICE-1KG": 3, "ATTA-5": 2}


@pytest.mark.parametrize("word", ["CANCEL", "no", "hoina", "होइन", "button"])
def test_a_cancellation_discards(rice, word):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    answer = phone.tap("cancel") if word == "button" else phone.say(word)
    assert answer == "Discarded. Nothing was ordered."
    assert draft(phone) is None
    assert "no order waiting" in phone.say("CONFIRM")
    assert phone.say("no") == "There is no unconfirmed order to discard."
    assert not Order.objects.exists()


def test_a_button_under_an_older_summary_orders_nothing_yet(rice):
    _, phone = make_shop()

    def tap_under(summary: str) -> str:
        ours = WhatsAppMessage.objects.get(body=summary)
        return phone.deliver(
            button(phone.number, "confirm") | {"context": {"id": ours.provider_message_id}}
        )

    old = phone.say("RICE-1KG x 10")
    phone.say("RICE-1KG x 3")
    current = tap_under(old)
    assert current.startswith("That was an older version of your order")
    assert "3 x RICE-1KG" in current
    assert not Order.objects.exists()
    assert "is placed" in tap_under(current)
    assert Order.objects.get().items.get().quantity == 3


def test_an_expired_draft_says_so_and_is_gone(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    expire(phone)
    assert "too old" in phone.say("CONFIRM")
    assert "no order waiting" in phone.say("CONFIRM")
    assert not Order.objects.exists()


def test_lines_after_an_expired_draft_begin_a_new_one(rice, atta):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    expire(phone)
    assert "An older unconfirmed order was discarded" in phone.say("ATTA-5 x 1")
    assert draft(phone) == {"ATTA-5": 1}


def test_each_change_renews_the_drafts_24_hours(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    left = sql.fetch_one("SELECT draft_expires_at - now() FROM whatsapp_conversations WHERE draft IS NOT NULL")  # fmt: skip
    assert left[0].total_seconds() == 24 * 3600


def test_unknown_products_are_said_back_with_suggestions_and_the_rest_is_kept(rice, atta):
    _, phone = make_shop()
    answer = phone.say("RICE-2KG x 5\nATTA-5 x 1\n5 zzqq").splitlines()
    assert answer[:3] == [
        "Not understood, so not ordered:",
        "• RICE-2KG x 5: no such product code (did you mean RICE-1KG?)",
        "• 5 zzqq: no such product code",
    ]
    assert "1 x ATTA-5 Atta 5 kg @ 250.00 = 250.00" in answer
    assert draft(phone) == {"ATTA-5": 1}


def test_at_most_three_suggestions():
    for number in range(5):
        make_product(sku=f"RICE-{number}KG", name="Rice")
    _, phone = make_shop()
    suggested = phone.say("RICE-9KG x 1").splitlines()[1]
    assert suggested.count("RICE-") == 1 + 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("RICE-1KG", "RICE-1KG: how many?"),
        ("RICE-1KG x 0", "the quantity is zero"),
        ("RICE-1KG x -3", "below zero"),
        ("RICE-1KG x 2.5", "only whole packs"),
        ("RICE-1KG x 1000000", "very many"),
        ("RICE-1KG x 1001", "from 1 to 1000"),
        ("5 coke", "5 coke: no such product code"),
    ],
)
def test_doubtful_quantities_are_questioned_and_not_kept(rice, line, said):
    _, phone = make_shop()
    answer = phone.say(line)
    assert said in answer
    assert answer.startswith("Not understood, so not ordered:")
    assert draft(phone) is None


def test_skus_that_differ_only_in_case_are_asked_about(rice):
    make_product(sku="rice-1kg", name="Another")
    _, phone = make_shop()
    assert "no such product code" in phone.say("RICE-1KG x 1")


@pytest.mark.parametrize(
    "words", ["hi", "namaste", "thanks!", "ok", "what do you sell", "👍", "..."]
)
def test_anything_else_gets_short_help(rice, words):
    _, phone = make_shop()
    answer = phone.say(words)
    assert answer.endswith("Reply CONFIRM to place the order or CANCEL to discard it.")
    assert "Not understood" not in answer
    assert draft(phone) is None


@pytest.mark.parametrize(("kind", "content"), [("image", {"id": "1"}), ("audio", {"id": "2"})])
def test_pictures_and_voices_get_short_help(kind, content):
    _, phone = make_shop()
    assert "To order, send the product code" in phone.deliver(message(phone.number, kind, content))


def test_a_catalogue_order_is_read_like_lines(rice):
    _, phone = make_shop()
    content = {
        "product_items": [{"product_retailer_id": "RICE-1KG", "quantity": 4, "item_price": 1}]
    }
    assert "4 x RICE-1KG Rice 1 kg @ 100.00" in phone.deliver(
        message(phone.number, "order", content)
    )


def test_nepali_for_those_who_read_it(rice):
    shop, phone = make_shop()
    User.objects.filter(pk=shop.user_id).update(language="ne")
    assert "जम्मा: NPR 1,130.00" in phone.say("RICE-1KG x १०")
    assert f"अर्डर {'ORD-'}" in phone.say("हो")


def test_over_the_limit_the_summary_offers_cash_and_the_credit_desk(rice):
    _, phone = make_shop(credit_limit=1000)
    answer = phone.say("RICE-1KG x 10").splitlines()
    assert answer[-3:] == [
        "This order cannot be taken as it stands:",
        "It needs NPR 1,130.00 of credit and NPR 1,000.00 is left: NPR 130.00 too much.",
        "Reply CASH to pay on delivery, CONFIRM to ask our credit desk, or CANCEL.",
    ]
    assert not OrderRefusal.objects.exists()


def test_a_refused_confirmation_is_kept_for_the_credit_desk(rice):
    shop, phone = make_shop(credit_limit=1000)
    phone.say("RICE-1KG x 10")
    answer = phone.say("CONFIRM").splitlines()
    assert answer[:2] == [
        "Not ordered:",
        "It needs NPR 1,130.00 of credit and NPR 1,000.00 is left: NPR 130.00 too much.",
    ]
    refusal = OrderRefusal.objects.get()
    assert (refusal.retailer_id, refusal.code) == (shop.pk, "credit_limit_exceeded")
    assert (refusal.requested, refusal.available, refusal.shortfall) == (1130, 1000, 130)
    assert not Order.objects.exists()
    assert not CreditAccount.objects.filter(reserved__gt=0).exists()
    assert draft(phone) is None
    assert "no order waiting" in phone.say("CONFIRM")
    assert OrderRefusal.objects.count() == 1


def test_cash_orders_what_credit_would_not(rice):
    _, phone = make_shop(credit_limit=0)
    phone.say("RICE-1KG x 10")
    assert "is placed" in phone.say("CASH")
    assert Order.objects.get().payment_terms == "CASH"


def test_stock_that_went_meanwhile_is_refused_with_the_numbers_and_the_draft_stays(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    other, _ = make_shop()
    make_order(other, rice, quantity=45)
    assert "No vendor can serve every line" in phone.say("CONFIRM")
    assert draft(phone) == {"RICE-1KG": 10}
    assert "is placed" in [phone.say("RICE-1KG x 5"), phone.say("CONFIRM")][1]
    assert OrderRefusal.objects.count() == 1


def test_a_price_that_rose_is_shown_again_before_anything_is_ordered(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    vendors.change_offer(offer_id=rice.pk, vendor_price=Decimal("120.00"), actor=SYSTEM)
    answer = phone.say("CONFIRM")
    assert answer.startswith("The total has risen since you saw it")
    assert "Total: NPR 1,356.00" in answer
    assert not Order.objects.exists()
    assert not Job.objects.filter(kind="orders.route").exists()
    assert "is placed" in phone.say("CONFIRM")
    assert Order.objects.get().total == Decimal("1356.00")


def test_a_price_that_fell_is_welcome(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    vendors.change_offer(offer_id=rice.pk, vendor_price=Decimal("90.00"), actor=SYSTEM)
    assert "Total: NPR 1,017.00" in phone.say("CONFIRM")


def test_a_product_taken_off_the_catalogue_leaves_the_draft_aloud(rice, atta):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10, ATTA-5 x 1")
    Product.objects.filter(sku="RICE-1KG").update(is_active=False)
    assert "No longer sold, so removed: RICE-1KG." in phone.say("CONFIRM")
    assert draft(phone) == {"ATTA-5": 1}
    Product.objects.filter(sku="ATTA-5").update(is_active=False)
    assert "No longer sold, so removed: ATTA-5." in phone.say("CONFIRM")
    assert draft(phone) is None
    assert not Order.objects.exists()


def test_lines_that_no_one_vendor_has_together_are_named(rice):
    make_offer(product=make_product(sku="OIL-1L"), price=10)
    _, phone = make_shop()
    answer = phone.say("RICE-1KG x 1, OIL-1L x 1")
    assert answer.count("not offered") == 1
    assert "No vendor can serve every line" in answer
    assert "CONFIRM" not in answer


def test_a_product_that_nobody_offers_is_named():
    make_product(sku="SALT-1KG")
    _, phone = make_shop()
    assert "2 x SALT-1KG: not offered" in phone.say("SALT-1KG x 2")
    assert "No vendor" in phone.say("CONFIRM")
    assert not Order.objects.exists()


def test_an_unapproved_shop_is_told_and_orders_nothing(rice):
    _, phone = make_shop(approved=False)
    assert "Your shop is not approved yet." in phone.say("RICE-1KG x 1")
    assert "Your shop is not approved yet." in phone.say("CONFIRM")
    assert not Order.objects.exists()


def test_a_blocked_shop_is_told_and_orders_nothing(rice):
    shop, phone = make_shop()
    credit.block_retailer(retailer_id=shop.pk, reason="secret reason", actor=SYSTEM)
    assert "Your shop is blocked." in phone.say("RICE-1KG x 1")
    answer = phone.say("CONFIRM")
    assert "Your shop is blocked." in answer
    assert "secret" not in answer
    assert not Order.objects.exists()


def test_a_late_due_holds_credit_and_lets_cash_through(rice, settings):
    shop, phone = make_shop()
    advance(make_order(shop, rice), "DELIVERED")
    settings.CREDIT_HOLD_DAYS_LATE = -31  # what is due in 30 days is late
    assert "new orders on credit are held" in phone.say("RICE-1KG x 1")
    assert "is placed" in phone.say("cash")


def test_more_lines_than_an_order_has_are_refused_as_a_whole(rice):
    _, phone = make_shop()
    assert "at most 200 lines" in phone.say("\n".join(["RICE-1KG x 1"] * 201))
    assert draft(phone) is None


def test_long_summaries_are_shortened_without_buttons(rice):
    skus = [make_product(sku=f"LONG-{n:03d}-X", name="A long name of a product") for n in range(60)]
    for product in skus:
        make_offer(rice.vendor, product)
    _, phone = make_shop()
    answer = phone.say("\n".join(f"{p.sku} x 1" for p in skus))
    assert "… and 30 more lines" in answer
    assert "Total: NPR 6,000.00" in answer
    assert len(answer) <= 4096
    assert WhatsAppMessage.objects.get(body=answer).payload["buttons"] == []
    assert len(draft(phone)) == 60


@pytest.mark.parametrize("kind", ["stranger", "staff", "inactive"])
def test_who_is_not_registered_is_answered_once_a_day(rice, kind):
    if kind == "stranger":
        phone = Phone("+9779811111111")
    elif kind == "staff":
        phone = Phone(make_user().phone)
    else:
        shop, phone = make_shop()
        jobs.run_due()
        User.objects.filter(pk=shop.user_id).update(is_active=False)
    answer = phone.say("RICE-1KG x 1")
    assert "not registered" in answer
    assert "दर्ता" in answer
    assert phone.say("hello?") == ""
    assert phone.say("CONFIRM") == ""
    assert not Order.objects.exists()
    assert not WhatsAppMessage.objects.filter(direction="IN", is_processed=False).exists()
    sql.execute("UPDATE whatsapp_messages SET key = 'yesterday' WHERE key LIKE 'stranger:%%'")
    assert "not registered" in phone.say("hello again")


def test_a_sender_without_a_phone_is_a_stranger():
    hidden = text("+9779800000001", "hi") | {"from_user_id": "NP.123"}
    del hidden["from"]
    assert post(envelope(hidden)).status_code == 200
    jobs.run_due()
    assert WhatsAppMessage.objects.filter(direction="OUT", status="accepted").count() == 1


def test_an_order_carries_a_hash_of_an_id_that_is_too_long(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 1")
    assert "is placed" in phone.say("CONFIRM", wamid="w" * 150)
    assert len(Order.objects.get().source_key) == 64


def test_one_person_does_not_see_anothers_draft(rice):
    _, phone = make_shop()
    phone.say("RICE-1KG x 10")
    _, other = make_shop()
    assert "no order waiting" in other.say("CONFIRM")
    assert not Order.objects.exists()
