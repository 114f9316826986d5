"""Reminders on their way: their words, the last look before they go, and what became of them.

The notice is payments'; a message carries its id.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from credit.models import Retailer
from payments import services as payments
from payments.services import NoticeLine
from whatsapp import wording
from whatsapp.models import WhatsAppMessage

NOTICE = "notice_id"  # in a message's payload


def body(shop: Retailer, lines: Sequence[NoticeLine], language: str) -> str:
    """Return what a notice says in a language. Its highest level sets the tone."""
    return wording.reminder(language, wording.shop_name(shop, language), lines)


def last_look(message: WhatsAppMessage) -> str | None:
    """Return what the message says now, or None: it may not go any more.

    Call it outside any transaction, just before the network: whatever waits after it may be too late.
    """
    notice_id = message.payload.get(NOTICE)
    if notice_id is None:
        return message.body
    lines = payments.confirm_notice(notice_id=notice_id)
    if not lines:
        return None
    shop = Retailer.objects.select_related("user").get(notices=notice_id)
    return body(shop, lines, shop.user.language)


def arrived(payload: Mapping[str, Any]) -> None:
    """The message was handed over, or may have been. The caller's transaction."""
    if (notice_id := payload.get(NOTICE)) is not None:
        payments.mark_sent(notice_id=notice_id)


def failed(payload: Mapping[str, Any], reason: str, *, try_again: bool) -> None:
    """The message certainly did not go; `try_again`: another day it may. The caller's transaction."""
    if (notice_id := payload.get(NOTICE)) is not None:
        payments.drop_notice(
            notice_id=notice_id, reason=f"not delivered: {reason}", try_again=try_again
        )
