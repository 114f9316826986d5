"""Answering inbound messages: one conversation at a time, its messages in their order."""

import logging
from collections.abc import Iterable

from django.db import transaction
from django.db.models.functions import Now

from khaacho import sql
from whatsapp import selectors, texts
from whatsapp.models import WhatsAppConversation, WhatsAppMessage
from whatsapp.selectors import Speaker
from whatsapp.services.offers import answer_vendor
from whatsapp.services.ordering import Reply, Turn, answer_retailer
from whatsapp.services.sending import Words, queue_message, reply_key

log = logging.getLogger(__name__)

MAX_EARLIER = 50  # messages answered ahead of the one asked for


@transaction.atomic
def answer_message(message_id: int) -> None:
    """Answer a message, and before it those that the same person sent earlier.

    Holds the conversation's advisory lock to the end of the transaction. What was answered before is
    left alone. An earlier message that cannot be answered is left to its own job.
    """
    message = WhatsAppMessage.objects.get(pk=message_id)
    if message.conversation_id is None:
        return
    sql.execute(
        "SELECT pg_advisory_xact_lock(hashtextextended('whatsapp:' || %s::text, 0))",
        [message.conversation_id],
    )
    for earlier in _unanswered_before(message):
        try:
            with transaction.atomic():
                _answer(earlier)
        except Exception:
            log.exception("whatsapp.earlier_message_failed", extra={"message_id": earlier.pk})
    message.refresh_from_db()
    if not message.is_processed:
        _answer(message)


def _unanswered_before(message: WhatsAppMessage) -> Iterable[WhatsAppMessage]:
    """The conversation's unanswered messages of the last hour that were sent before this one."""
    rows = sql.fetch(
        "SELECT m.id FROM whatsapp_messages m, whatsapp_messages this WHERE this.id = %s"
        " AND m.conversation_id = this.conversation_id AND m.direction = 'IN' AND NOT m.is_processed"
        " AND m.created_at > now() - interval '1 hour'"
        " AND (coalesce(m.sent_at, m.created_at), m.id)"
        " < (coalesce(this.sent_at, this.created_at), this.id)"
        " ORDER BY coalesce(m.sent_at, m.created_at) DESC, m.id DESC LIMIT %s",
        [message.pk, MAX_EARLIER],
    )
    by_id = WhatsAppMessage.objects.in_bulk([row[0] for row in rows])
    return [by_id[row[0]] for row in reversed(rows)]


def _answer(message: WhatsAppMessage) -> None:
    conversation = WhatsAppConversation.objects.get(messages=message)
    speaker = selectors.speaker(conversation.phone)
    reply = _reply(speaker, conversation, message)
    queue_message(
        conversation_id=conversation.pk,
        key=reply.key or reply_key(message.pk),
        words=reply.words,
        in_reply_to_id=message.pk,
    )
    WhatsAppMessage.objects.filter(pk=message.pk).update(is_processed=True, processed_at=Now())
    _note(conversation, speaker, message)


def _reply(
    speaker: Speaker | None, conversation: WhatsAppConversation, message: WhatsAppMessage
) -> Reply:
    if speaker is None:
        return _to_stranger(conversation)
    if speaker.retailer_id is not None:
        return answer_retailer(Turn(speaker, conversation.pk, message))
    return Reply(answer_vendor(speaker, message))


def _to_stranger(conversation: WhatsAppConversation) -> Reply:
    """In both languages, and by its key at most once a day (Kathmandu's)."""
    row = sql.fetch_one("SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date")
    assert row is not None
    both = [texts.say(language, "unknown_sender") for language in (texts.NEPALI, texts.ENGLISH)]
    return Reply(Words(body="\n\n".join(both)), key=f"stranger:{conversation.pk}:{row[0]}")


def _note(
    conversation: WhatsAppConversation, speaker: Speaker | None, message: WhatsAppMessage
) -> None:
    """Keep who speaks here, and when they last did: the provider's customer window runs from then."""
    sql.execute(
        "UPDATE whatsapp_conversations SET retailer_id = %(retailer)s, vendor_id = %(vendor)s,"
        " last_inbound_at = greatest(last_inbound_at, least(coalesce(%(sent)s, now()), now()))"
        " WHERE id = %(id)s",
        {
            "id": conversation.pk,
            "retailer": speaker.retailer_id if speaker else None,
            "vendor": speaker.vendor_id if speaker else None,
            "sent": message.sent_at,
        },
    )
