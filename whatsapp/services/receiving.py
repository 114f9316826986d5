"""Inbound: the body is stored before it is answered, and read by a job, each message once."""

import hashlib
import logging
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from psycopg.types.json import Jsonb

from khaacho import jobs, sql
from whatsapp import payloads
from whatsapp.enums import Direction, MessageStatus, highest
from whatsapp.models import WhatsAppMessage, WhatsAppWebhook
from whatsapp.payloads import Inbound, Report

log = logging.getLogger(__name__)


@transaction.atomic
def store_webhook(body: bytes, *, provider: str) -> bool:
    """Store a signed body and the job that reads it; False when this very body is stored already."""
    digest = hashlib.sha256(body).hexdigest()
    row = sql.fetch_one(
        "INSERT INTO whatsapp_webhooks (provider, digest, body) VALUES (%s, %s, %s)"
        " ON CONFLICT (digest) DO NOTHING RETURNING id",
        [provider, digest, body],
    )
    if row is None:
        return False
    _enqueue_read(row[0])
    return True


def _enqueue_read(webhook_id: int) -> None:
    reference = f"webhook:{webhook_id}"
    jobs.enqueue(
        "whatsapp.read", {"webhook_id": webhook_id}, reference=reference, dedupe_key=reference
    )


def _enqueue_answer(message_id: int, provider_message_id: str) -> None:
    digest = hashlib.sha256(provider_message_id.encode()).hexdigest()
    jobs.enqueue(
        "whatsapp.answer",
        {"message_id": message_id},
        reference=f"message:{message_id}",
        dedupe_key=f"wamid:{digest}",
    )


@transaction.atomic
def read_webhook(webhook_id: int) -> int:
    """Store every message and report of a stored body; return how many of them are new to us.

    New messages of a known shape get a job that answers them; the others are kept as ignored.
    A handful of statements, however many messages there are.
    """
    webhook = WhatsAppWebhook.objects.select_for_update(no_key=True).get(pk=webhook_id)
    if webhook.processed_at is not None:
        return 0
    try:
        batch = payloads.read(payloads.parse(bytes(webhook.body)))
    except ValueError:
        log.exception("whatsapp.unreadable", extra={"webhook_id": webhook_id})
        batch = payloads.Batch((), ())
    new = _store_messages(batch.messages)
    jobs.enqueue_many(
        [
            ("whatsapp.answer", {"message_id": pk}, f"message:{pk}")
            for pk, status in new
            if status == MessageStatus.RECEIVED
        ]
    )
    changed = _apply_reports(batch.reports)
    WhatsAppWebhook.objects.filter(pk=webhook_id).update(
        processed_at=Now(), messages_found=len(batch.messages) + len(batch.reports)
    )
    return len(new) + changed


def _store_messages(messages: Sequence[Inbound]) -> list[tuple[int, str]]:
    """Insert the messages that are new; return their ids and statuses. Three statements."""
    if not messages:
        return []
    conversations = _conversations(messages)
    rows: list[tuple[int, str]] = sql.fetch(
        "INSERT INTO whatsapp_messages (conversation_id, direction, provider_message_id, from_number,"
        " to_number, message_type, kind, body, payload, status, is_processed, sent_at)"
        " SELECT c, 'IN', w, f, t, y, 'generic', b, p, s, s = 'ignored', at"
        " FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],"
        " %s::jsonb[], %s::text[], %s::timestamptz[]) AS m (c, w, f, t, y, b, p, s, at)"
        " ON CONFLICT (provider_message_id) DO NOTHING RETURNING id, status",
        [
            conversations,
            [m.provider_message_id for m in messages],
            [m.phone for m in messages],
            [m.to_number for m in messages],
            [m.message_type for m in messages],
            [m.text for m in messages],
            [Jsonb(m.payload) for m in messages],
            [MessageStatus.RECEIVED if m.is_known else MessageStatus.IGNORED for m in messages],
            [m.sent_at for m in messages],
        ],
    )
    return rows


def _conversations(messages: Sequence[Inbound]) -> list[int | None]:
    """Each message's conversation, by phone, else by the provider's user id; None without either.

    New ones are inserted in a fixed order, so that two readers never wait for each other in a ring.
    """
    people = sorted({(m.phone, m.provider_user_id) for m in messages} - {("", "")})
    phones, user_ids = [p for p, _ in people], [u for _, u in people]
    sql.execute(
        "INSERT INTO whatsapp_conversations (phone, provider_user_id)"
        " SELECT nullif(p, ''), nullif(u, '') FROM unnest(%s::text[], %s::text[]) AS x (p, u)"
        " ON CONFLICT DO NOTHING",
        [phones, user_ids],
    )
    rows = sql.fetch(
        "SELECT id, phone, provider_user_id FROM whatsapp_conversations"
        " WHERE phone = ANY(%s) OR provider_user_id = ANY(%s)",
        [phones, user_ids],
    )
    by_phone = {phone: pk for pk, phone, _ in rows if phone}
    by_user = {user: pk for pk, _, user in rows if user}
    return [by_phone.get(m.phone) or by_user.get(m.provider_user_id) for m in messages]


def _apply_reports(reports: Sequence[Report]) -> int:
    """Raise our messages to the highest status reported; return how many were reported on.

    A report names a message by the provider's id, or by our key where a crash lost that id.
    """
    if not reports:
        return 0
    ours = {r.provider_message_id for r in reports} | {r.callback for r in reports if r.callback}
    rows = list(
        WhatsAppMessage.objects.select_for_update(of=("self",), no_key=True)
        .filter(Q(provider_message_id__in=ours) | Q(key__in=ours))
        .order_by("pk")
    )
    by_id = {m.provider_message_id: m for m in rows if m.provider_message_id}
    by_key = {m.key: m for m in rows if m.key}
    changed = set()
    for report in reports:
        message = by_id.get(report.provider_message_id) or by_key.get(report.callback)
        if message is not None and message.direction == Direction.OUT:
            by_id.setdefault(report.provider_message_id, message)
            _report_on(message, report)
            changed.add(message)
    WhatsAppMessage.objects.bulk_update(
        changed, ["status", "error", "is_processed", "payload", "provider_message_id"]
    )
    return len(changed)


def _report_on(message: WhatsAppMessage, report: Report) -> None:
    known = message.payload.setdefault("reports", [])
    if report.payload not in known:
        known.append(report.payload)
    message.status = highest(message.status, report.status)
    has_failed = message.status == MessageStatus.FAILED
    message.error = (report.error or message.error) if has_failed else ""
    message.is_processed = True
    message.provider_message_id = message.provider_message_id or report.provider_message_id


@transaction.atomic
def recover_receiving(*, limit: int) -> int:
    """Give a job to unread webhooks and unanswered messages that have none; return how many.

    A dead job is left to staff, who see it in the dead-letter queue.
    """
    bodies = sql.fetch(
        "SELECT w.id FROM whatsapp_webhooks w WHERE w.processed_at IS NULL"
        " AND w.created_at < now() - interval '1 minute'"
        " AND NOT EXISTS (SELECT FROM jobs j WHERE j.queue = 'whatsapp' AND j.kind = 'whatsapp.read'"
        " AND j.state IN ('queued', 'running', 'dead') AND j.reference = 'webhook:' || w.id)"
        " ORDER BY w.created_at LIMIT %s",
        [limit],
    )
    for (webhook_id,) in bodies:
        _enqueue_read(webhook_id)
    messages = sql.fetch(
        "SELECT m.id, m.provider_message_id FROM whatsapp_messages m WHERE NOT m.is_processed"
        " AND m.direction = 'IN' AND m.created_at < now() - interval '1 minute'"
        " AND NOT EXISTS (SELECT FROM jobs j WHERE j.queue = 'whatsapp' AND j.kind = 'whatsapp.answer'"
        " AND j.state IN ('queued', 'running', 'dead') AND j.reference = 'message:' || m.id)"
        " ORDER BY m.created_at LIMIT %s",
        [limit],
    )
    for message_id, provider_message_id in messages:
        _enqueue_answer(message_id, provider_message_id)
    return len(bodies) + len(messages)
