"""What we tell people unasked: one message per fact and person, in their language.

The key of a notice is the fact's: telling twice queues once.
"""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from credit.models import CreditAccount, Retailer
from khaacho.models import User
from khaacho.money import format_npr
from orders.enums import AcceptanceStatus
from orders.models import Order, OrderItem, VendorOrderAcceptance
from payments import services as payments
from payments.models import Payment, ReminderNotice
from vendors.models import Vendor
from whatsapp import wording
from whatsapp.enums import MessageKind
from whatsapp.services import reminders
from whatsapp.services.sending import Button, Words, open_conversation, queue_message
from whatsapp.texts import say
from whatsapp.wording import PricedLine, shop_name, vendor_name

KATHMANDU = ZoneInfo("Asia/Kathmandu")
TOLD_VENDOR = (AcceptanceStatus.ACCEPTED, AcceptanceStatus.WITHDRAWN)

Wording = Callable[[str], Words]  # the words in a language


def placed_key(order_id: int) -> str:
    return f"order:{order_id}:placed:retailer"


def tell_retailer(shop: Retailer, key: str, words: Wording) -> bool:
    """Queue a notice for a shop's user, unless they left; return whether. The caller's transaction."""
    return _tell(shop.user, key, words, retailer_id=shop.pk)


def tell_vendor(vendor: Vendor, key: str, words: Wording) -> None:
    """Queue a notice for a wholesaler's user. The caller's transaction."""
    _tell(vendor.user, key, words, vendor_id=vendor.pk)


def _tell(
    user: User,
    key: str,
    words: Wording,
    *,
    retailer_id: int | None = None,
    vendor_id: int | None = None,
) -> bool:
    """Queue a message to a user; return whether they can be told anything."""
    if not user.is_active or user.deleted_at is not None:
        return False
    conversation = open_conversation(user.phone, retailer_id=retailer_id, vendor_id=vendor_id)
    queue_message(conversation_id=conversation, key=key, words=words(user.language))
    return True


def _order(order_id: int) -> Order:
    return Order.objects.select_related("retailer__user", "vendor__user").get(pk=order_id)


def _bill(order: Order, language: str) -> list[str]:
    lines = [
        PricedLine(i.quantity, i.sku, i.product_name, i.unit_price, i.line_total)
        for i in OrderItem.objects.filter(order=order).order_by("pk")
    ]
    return wording.bill(language, lines, tax_amount=order.tax_amount, total=order.total)


def order_placed(order: Order, language: str) -> Words:
    """The confirmation of an order: its number, lines and total."""
    rows = [
        say(language, "order_placed", number=order.order_number),
        *_bill(order, language),
        say(language, "vendor", name=vendor_name(order.vendor, language)),
    ]
    return Words(body="\n".join(rows), kind=MessageKind.ORDER_CONFIRMATION, order_id=order.pk)


def announce_placed(order_id: int) -> None:
    order = _order(order_id)
    tell_retailer(order.retailer, placed_key(order_id), lambda lang: order_placed(order, lang))


def announce_offered(acceptance_id: int) -> None:
    """Ask the vendor, unless the question was answered or withdrawn meanwhile."""
    question = VendorOrderAcceptance.objects.select_related("vendor__user").get(pk=acceptance_id)
    if question.status != AcceptanceStatus.PENDING:
        return
    order = _order(question.order_id)
    tell_vendor(
        question.vendor, f"offer:{acceptance_id}", lambda lang: _offer(order, question, lang)
    )


def _offer(order: Order, question: VendorOrderAcceptance, language: str) -> Words:
    number, shop = order.order_number, order.retailer
    deadline = question.deadline.astimezone(KATHMANDU).strftime("%Y-%m-%d %H:%M")
    rows = [
        say(language, "order_offered", number=number, deadline=deadline),
        say(language, "shop", name=shop_name(shop, language), place=shop.municipality),
        *_bill(order, language),
    ]
    buttons = (
        Button(f"accept:{number}", say(language, "button_accept")),
        Button(f"decline:{number}", say(language, "button_decline")),
    )
    return Words(
        body="\n".join(rows), kind=MessageKind.VENDOR_OFFER, buttons=buttons, order_id=order.pk
    )


def _about(order: Order, text: str, kind: MessageKind) -> Wording:
    def words(language: str) -> Words:
        body = say(
            language,
            text,
            number=order.order_number,
            vendor=vendor_name(order.vendor, language),
            invoice=order.invoice_number,
            amount=format_npr(order.total),
            due_date=order.due_date,
            reason=order.cancel_reason,
        )
        return Words(body=body, kind=kind, order_id=order.pk)

    return words


def announce_accepted(order_id: int) -> None:
    order = _order(order_id)
    words = _about(order, "order_accepted", MessageKind.ORDER_CONFIRMATION)
    tell_retailer(order.retailer, f"order:{order_id}:accepted:retailer", words)


def announce_dispatched(order_id: int) -> None:
    order = _order(order_id)
    words = _about(order, "order_dispatched", MessageKind.DELIVERY_UPDATE)
    tell_retailer(order.retailer, f"order:{order_id}:dispatched:retailer", words)


def announce_delivered(order_id: int) -> None:
    order = _order(order_id)
    words = _about(order, "order_delivered", MessageKind.DELIVERY_UPDATE)
    tell_retailer(order.retailer, f"order:{order_id}:delivered:retailer", words)


def announce_cancelled(order_id: int) -> None:
    """Tell the shop, and the vendor where it had been asked."""
    order = _order(order_id)
    words = _about(order, "order_cancelled", MessageKind.GENERIC)
    tell_retailer(order.retailer, f"order:{order_id}:cancelled:retailer", words)
    asked = VendorOrderAcceptance.objects.filter(
        order=order, vendor_id=order.vendor_id, status__in=TOLD_VENDOR
    )
    if asked.exists():
        tell_vendor(order.vendor, f"order:{order_id}:cancelled:vendor", words)


def announce_unroutable(order_id: int) -> None:
    order = _order(order_id)
    words = _about(order, "order_unroutable", MessageKind.GENERIC)
    tell_retailer(order.retailer, f"order:{order_id}:unroutable:retailer", words)


def announce_payment(payment_id: int, text: str) -> None:
    """Tell the shop of a payment (`payment_recorded`, `payment_reversed`) and what it owes that vendor."""
    payment = Payment.objects.select_related("retailer__user", "vendor").get(pk=payment_id)
    balance = CreditAccount.objects.values_list("balance", flat=True).get(pk=payment.account_id)

    def words(language: str) -> Words:
        body = say(
            language,
            text,
            number=payment.payment_number,
            amount=format_npr(payment.amount),
            vendor=vendor_name(payment.vendor, language),
            balance=format_npr(balance),
        )
        return Words(body=body, kind=MessageKind.BALANCE)

    key = f"payment:{payment_id}:{text.removeprefix('payment_')}:retailer"
    tell_retailer(payment.retailer, key, words)


def announce_approved(retailer_id: int) -> None:
    """Tell a shop that it may order; an approval after a later withdrawal would be told once only."""
    shop = Retailer.objects.select_related("user").get(pk=retailer_id)

    def words(language: str) -> Words:
        name = shop_name(shop, language)
        return Words(body=say(language, "retailer_approved", shop=name, code=shop.code))

    tell_retailer(shop, f"retailer:{retailer_id}:approved:retailer", words)


def reminder_key(notice_id: int) -> str:
    return f"reminder:{notice_id}"


def announce_reminder(notice_id: int) -> None:
    """Queue the one message of a notice; its words are those of the moment at which it goes."""
    notice = ReminderNotice.objects.select_related("retailer__user").get(pk=notice_id)
    lines = payments.notice_lines(notice_id)

    def words(language: str) -> Words:
        body = reminders.body(notice.retailer, lines, language)
        return Words(body=body, kind=MessageKind.PAYMENT_REMINDER, notice_id=notice_id)

    if not tell_retailer(notice.retailer, reminder_key(notice_id), words):
        payments.drop_notice(notice_id=notice_id, reason="the shop's user left", try_again=False)
