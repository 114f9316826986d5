"""The vendor's side of the dialogue: yes or no to an order offered."""

from django.db import transaction

from khaacho.exceptions import Conflict, KhaachoError, NotFound
from khaacho.rollback import run_after_rollback
from orders import services as orders
from orders.models import Order
from whatsapp import parsing, payloads, wording
from whatsapp.models import WhatsAppMessage
from whatsapp.parsing import OfferAnswer
from whatsapp.selectors import Speaker
from whatsapp.services.sending import Words
from whatsapp.texts import say

BUTTON_REASON = "declined by button on WhatsApp"


def answer_vendor(speaker: Speaker, message: WhatsAppMessage) -> Words:
    """Do what a vendor's message asks and return the reply. Locks the order it names."""
    answer = _read(message)
    if answer is None:
        return Words(body=say(speaker.language, "vendor_help"))
    if not answer.accepts and not answer.reason:
        return Words(body=say(speaker.language, "offer_reason_needed", number=answer.order_number))
    found = Order.objects.for_user(speaker.actor).filter(order_number=answer.order_number)
    order_id = found.values_list("pk", flat=True).first()
    try:
        if order_id is None:
            raise NotFound
        _decide(speaker, order_id, answer)
    except KhaachoError as error:
        run_after_rollback(error)
        return Words(body=_refusal(speaker, answer, error))
    text = "offer_accepted" if answer.accepts else "offer_declined"
    body = say(speaker.language, text, number=answer.order_number)
    return Words(body=body, order_id=order_id)


def _read(message: WhatsAppMessage) -> OfferAnswer | None:
    """A tapped button names verb and order (`accept:ORD-…`); a typed line may add a reason."""
    choice = payloads.choice(message.payload)
    if not choice:
        return parsing.offer_answer(message.body)
    tapped = parsing.offer_answer(choice)
    if tapped is None or tapped.accepts:
        return tapped
    return OfferAnswer(accepts=False, order_number=tapped.order_number, reason=BUTTON_REASON)


@transaction.atomic
def _decide(speaker: Speaker, order_id: int, answer: OfferAnswer) -> None:
    """Answer in a savepoint, so that a refusal leaves nothing behind."""
    if answer.accepts:
        orders.accept_order(order_id=order_id, actor=speaker.actor)
    else:
        orders.reject_order(order_id=order_id, reason=answer.reason, actor=speaker.actor)


def _refusal(speaker: Speaker, answer: OfferAnswer, error: KhaachoError) -> str:
    number = answer.order_number
    if isinstance(error, NotFound):
        return say(speaker.language, "offer_not_yours", number=number)
    if isinstance(error, Conflict):
        status = Order.objects.values_list("status", flat=True).get(order_number=number)
        return say(speaker.language, "offer_not_open", number=number, status=status)
    return "\n".join(wording.refusal(speaker.language, error, {}))
