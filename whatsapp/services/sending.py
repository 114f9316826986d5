"""Outbound messages: a row first, the network later, in steps that each commit.

queued → sending → accepted, then whatever the provider reports. A reminder is looked at once more before
it goes, and dropped when its dues were paid meanwhile. A crash between the provider's answer
and our commit leaves `sending`; the next attempt finds it and calls it `unknown`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import transaction
from psycopg.types.json import Jsonb

from khaacho import jobs, sql
from whatsapp import backends
from whatsapp.backends import Backend, NotTaken, Undeliverable
from whatsapp.enums import SENT_AGAIN, MessageKind
from whatsapp.models import WhatsAppMessage
from whatsapp.services import reminders

MAX_BODY = 4096  # characters
MAX_BODY_WITH_BUTTONS = 1024
MAX_SENDS = 2  # a message of unknown fate is sent at most once more


@dataclass(frozen=True)
class Button:
    """A tap that answers `id`; providers show at most 20 characters of the title, and 3 buttons."""

    id: str
    title: str


@dataclass(frozen=True, kw_only=True)
class Words:
    """What to say. Buttons are left out of a message too long for them: the text says it as well."""

    body: str
    kind: MessageKind = MessageKind.GENERIC
    buttons: Sequence[Button] = ()
    order_id: int | None = None
    notice_id: int | None = None


def open_conversation(
    phone: str, *, retailer_id: int | None = None, vendor_id: int | None = None
) -> int:
    """Return the id of the conversation with a phone (E.164), made when there is none. One statement."""
    row = sql.fetch_one(
        "WITH made AS (INSERT INTO whatsapp_conversations (phone, retailer_id, vendor_id)"
        " VALUES (%(phone)s, %(retailer)s, %(vendor)s) ON CONFLICT DO NOTHING RETURNING id)"
        " SELECT id FROM made UNION ALL SELECT id FROM whatsapp_conversations WHERE phone = %(phone)s",
        {"phone": phone, "retailer": retailer_id, "vendor": vendor_id},
    )
    if row is None:  # another transaction made it after this statement began
        return open_conversation(phone)
    return int(row[0])


def reply_key(message_id: int) -> str:
    """The key of the reply to an inbound message."""
    return f"reply:{message_id}"


def queue_message(
    *, conversation_id: int, key: str, words: Words, in_reply_to_id: int | None = None
) -> int | None:
    """Insert one outbound message and its job in the caller's transaction; return its id.

    None when a message with this key exists already: each is queued once.
    """
    short = len(words.body) <= MAX_BODY_WITH_BUTTONS
    row = sql.fetch_one(
        "INSERT INTO whatsapp_messages (conversation_id, direction, key, from_number, to_number,"
        " message_type, kind, body, payload, status, order_id, in_reply_to_id)"
        " SELECT id, 'OUT', %(key)s, '', coalesce(phone, ''), %(type)s, %(kind)s, %(body)s,"
        " %(payload)s, 'queued', %(order)s, %(in_reply_to)s"
        " FROM whatsapp_conversations WHERE id = %(conversation)s"
        " ON CONFLICT (key) DO NOTHING RETURNING id",
        {
            "conversation": conversation_id,
            "key": key,
            "type": "interactive" if words.buttons and short else "text",
            "kind": words.kind,
            "body": words.body[:MAX_BODY],
            "payload": Jsonb(_payload(words, short)),
            "order": words.order_id,
            "in_reply_to": in_reply_to_id,
        },
    )
    if row is None:
        return None
    enqueue_send(row[0])
    return int(row[0])


def _payload(words: Words, short: bool) -> dict[str, Any]:
    payload: dict[str, Any] = {"buttons": [vars(b) for b in words.buttons if short]}
    if words.notice_id is not None:
        payload[reminders.NOTICE] = words.notice_id
    return payload


def enqueue_send(message_id: int) -> None:
    jobs.enqueue(
        "whatsapp.send",
        {"message_id": message_id},
        reference=f"message:{message_id}",
        dedupe_key=f"send:{message_id}",
    )


def hand_over(message_id: int, *, is_last_try: bool) -> None:
    """Give a queued message to the backend; call it outside any transaction, each step commits.

    Raises NotTaken, so that the job tries again, unless this was the last try: then it has failed.
    """
    backend = backends.current()
    message = _begin(message_id, backend)
    if message is None:
        return
    words = reminders.last_look(message)
    if words is None:
        _close(message, "dropped", "What it was about has changed.")
        return
    _say(message, words)
    try:
        provider_id = backend.send(message)
    except Undeliverable as error:
        _close(message, "failed", error)
    except NotTaken as error:
        _close(message, "failed" if is_last_try else "queued", error, try_again=True)
        if not is_last_try:
            raise
    else:
        _accept(message, provider_id)


def _begin(message_id: int, backend: Backend) -> WhatsAppMessage | None:
    """Take a message that may be sent; None when there is none.

    One that an earlier attempt left in `sending` may have arrived: where that reached a person, its
    fate is unknown, and reports or `recover` decide.
    """
    taken = sql.execute(
        "UPDATE whatsapp_messages SET status = 'sending', sends = sends + 1"
        " WHERE id = %s AND (status = 'queued' OR (status = 'sending' AND NOT %s))",
        [message_id, backend.leaves_machine],
    )
    if taken:
        return WhatsAppMessage.objects.get(pk=message_id)
    _give_up(
        "UPDATE whatsapp_messages SET status = 'unknown', processed_at = now()"
        " WHERE id = %s AND status = 'sending' RETURNING payload::text",
        [message_id],
    )
    return None


@transaction.atomic
def _give_up(statement: str, params: Sequence[object] = ()) -> None:
    """Call messages unknown; a reminder that may have arrived counts as sent."""
    for (payload,) in sql.fetch(statement, params):
        reminders.arrived(json.loads(payload))


def _say(message: WhatsAppMessage, words: str) -> None:
    """Say it in the words of this moment."""
    if words == message.body:
        return
    message.body = words[:MAX_BODY]
    message.save(update_fields=["body"])


@transaction.atomic
def _close(
    message: WhatsAppMessage, status: str, error: Exception | str, *, try_again: bool = False
) -> None:
    if status == "failed":
        reminders.failed(message.payload, str(error), try_again=try_again)
    sql.execute(
        "UPDATE whatsapp_messages SET status = %(status)s, error = %(error)s,"
        " is_processed = %(status)s IN ('failed', 'dropped'), processed_at = now()"
        " WHERE id = %(id)s AND status = 'sending'",
        {"id": message.pk, "status": status, "error": str(error)[:500]},
    )


@transaction.atomic
def _accept(message: WhatsAppMessage, provider_id: str) -> None:
    """Record the provider's id; a report that overtook us has set a higher status, which stays."""
    reminders.arrived(message.payload)
    sql.execute(
        "UPDATE whatsapp_messages SET provider_message_id = coalesce(provider_message_id, %s),"
        " status = CASE WHEN status IN ('sending', 'unknown') THEN 'accepted' ELSE status END,"
        " is_processed = true, error = '', processed_at = now(), sent_at = coalesce(sent_at, now())"
        " WHERE id = %s",
        [provider_id, message.pk],
    )


@transaction.atomic
def recover_sending(*, limit: int) -> int:
    """Queue again what has no open job; return how many.

    Messages in `queued` whose job was lost, and those of unknown fate for ten minutes that are worth
    a second copy. A dead job keeps its message until staff retry it.
    """
    _give_up(
        "UPDATE whatsapp_messages SET status = 'unknown', processed_at = now()"
        " WHERE status = 'sending' AND NOT is_processed AND created_at < now() - interval '10 minutes'"
        " AND NOT EXISTS (SELECT FROM jobs j WHERE j.dedupe_key = 'send:' || whatsapp_messages.id"
        " AND j.state IN ('queued', 'running')) RETURNING payload::text"
    )
    again = sql.fetch(
        "UPDATE whatsapp_messages SET status = 'queued' WHERE status = 'unknown' AND NOT is_processed"
        " AND kind = ANY(%s) AND sends < %s AND processed_at < now() - interval '10 minutes'"
        " RETURNING id",
        [list(SENT_AGAIN), MAX_SENDS],
    )
    lost = sql.fetch(
        "SELECT m.id FROM whatsapp_messages m WHERE m.direction = 'OUT' AND m.status = 'queued'"
        " AND NOT m.is_processed AND m.created_at < now() - interval '1 minute'"
        " AND NOT EXISTS (SELECT FROM jobs j WHERE j.queue = 'whatsapp' AND j.kind = 'whatsapp.send'"
        " AND j.state IN ('queued', 'running', 'dead') AND j.reference = 'message:' || m.id)"
        " ORDER BY m.id LIMIT %s",
        [limit],
    )
    ids = {row[0] for row in [*again, *lost]}
    for message_id in sorted(ids):
        enqueue_send(message_id)
    return len(ids)
