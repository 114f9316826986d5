"""What the API shows to nobody, read from the database: never written here."""

import time
from datetime import datetime

from bench.trade.play.site import Unexpected
from khaacho import sql

POLL_SECONDS = 0.1
REFUSED_SHOPS = """
SELECT DISTINCT ON (code) CASE WHEN r.is_blocked THEN 'retailer_blocked' ELSE 'retailer_not_approved' END
    AS code, u.phone
FROM retailers r JOIN users u ON u.id = r.user_id
WHERE u.phone LIKE '+97798002%%' AND r.is_blocked = r.is_approved ORDER BY code, r.id
"""
WORK = """
SELECT count(*) FILTER (WHERE state = 'done'),
    count(*) FILTER (WHERE state = 'running' OR state = 'queued' AND run_after <= now()),
    count(*) FILTER (WHERE state = 'dead'),
    (SELECT count(*) FROM whatsapp_messages WHERE created_at >= %(since)s AND direction = 'IN'),
    (SELECT count(*) FROM whatsapp_messages WHERE created_at >= %(since)s AND direction = 'OUT')
FROM jobs WHERE created_at >= %(since)s
"""


def refused_shops() -> dict[str, str]:
    """Return a phone of the demo's shops for each reason, a problem's code, not to let one order."""
    return dict(sql.fetch(REFUSED_SHOPS, []))


def wait_for_answer(wamid: str, seconds: float) -> None:
    """Return once a worker has answered the message. Raises Unexpected."""
    deadline = time.monotonic() + seconds
    answered = "SELECT FROM whatsapp_messages WHERE provider_message_id = %s AND is_processed"
    while not sql.fetch(answered, [wamid]):
        if time.monotonic() > deadline:
            raise Unexpected(f"a WhatsApp message has no answer within {seconds:g} s")
        time.sleep(POLL_SECONDS)


def order_of(wamid: str) -> int | None:
    """Return the order that the message made."""
    row = sql.fetch_one("SELECT id FROM orders WHERE source_key = %s", [wamid])
    return row[0] if row else None


def work_since(moment: datetime) -> dict[str, int]:
    """Count what the worker has done since, what is due, what it gave up, and messages by direction."""
    row = sql.fetch_one(WORK, {"since": moment})
    assert row
    names = ("jobs done", "jobs due", "jobs dead", "messages in", "messages out")
    return dict(zip(names, row, strict=True))
