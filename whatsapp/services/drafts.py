"""The order being made in a conversation. Each change renews its lifetime, by PostgreSQL's clock."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from psycopg.types.json import Jsonb

from khaacho import sql


@dataclass(frozen=True)
class Draft:
    """Packs per product, and what the retailer was shown of it.

    `shown_total` is NPR, None where no price could be named; `shown_for` is the message whose reply
    was the summary.
    """

    items: Mapping[int, int]
    shown_total: Decimal | None
    shown_for: int


def read_draft(conversation_id: int) -> tuple[Draft | None, bool]:
    """Return the conversation's draft, and whether it has expired. One statement."""
    row = sql.fetch_one(
        "SELECT draft::text, draft_expires_at <= now()"
        " FROM whatsapp_conversations WHERE id = %s AND draft IS NOT NULL",
        [conversation_id],
    )
    if row is None:
        return None, False
    value = json.loads(row[0])
    items = {int(product): packs for product, packs in value["items"].items()}
    total = Decimal(value["total"]) if value["total"] else None
    return Draft(items, total, value["shown_for"]), row[1]


def keep_draft(conversation_id: int, draft: Draft) -> None:
    """Store the draft for settings.DRAFT_LIFETIME from now."""
    value = {
        "items": {str(product): packs for product, packs in draft.items.items()},
        "total": None if draft.shown_total is None else str(draft.shown_total),
        "shown_for": draft.shown_for,
    }
    sql.execute(
        "UPDATE whatsapp_conversations SET draft = %s, draft_expires_at = now() + %s WHERE id = %s",
        [Jsonb(value), settings.DRAFT_LIFETIME, conversation_id],
    )


def drop_draft(conversation_id: int) -> None:
    sql.execute(
        "UPDATE whatsapp_conversations SET draft = NULL, draft_expires_at = NULL WHERE id = %s",
        [conversation_id],
    )
