"""The hourly risk review: what is alarming about a shop, told once, and taken back when it is over.

docs/credit-score.md says what each alert means. Pure but for `changed` and `profiles`, which read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from credit.scoring import band
from khaacho import sql
from khaacho.enums import Severity
from khaacho.money import ZERO, format_npr

EXPOSURE_SHARE = Decimal("0.90")
LATE = ((90, Severity.CRITICAL), (60, Severity.WARNING), (30, Severity.INFO))
BAND_DAYS = 30  # a band is compared with the best of so many days
BOUNCED_DAYS = 90
ORDER_TIMES = 3  # an order is sudden when it is more than so many times the median …
ORDER_DAYS = 180  # … of the orders of so many days before it …
ORDER_FEWEST = 5  # … of which there are at least so many …
ORDER_LEAST = Decimal(10_000)  # … and more than so many NPR
CODES = ("band_dropped", "exposure_high", "due_late", "cheque_bounced", "order_sudden")
BANDS = ("very_poor", "poor", "fair", "good", "excellent")


@dataclass(frozen=True)
class Profile:
    """What the review looks at. Amounts are NPR; `sudden_order` is (number, total, median of others)."""

    retailer_id: int
    exposure: Decimal
    limit: Decimal
    score: int
    best_score: int
    days_late: int
    bounced_on: date | None
    sudden_order: tuple[str, Decimal, Decimal] | None


@dataclass(frozen=True)
class Finding:
    """One alert to be open: `code` without its prefix, message for people, and how bad it is."""

    code: str
    message: str
    severity: Severity = Severity.WARNING


def findings(profile: Profile) -> list[Finding]:
    """Return what is alarming about a shop now."""
    found = (
        _band(profile),
        _exposure(profile),
        _late(profile),
        _bounced(profile),
        _sudden(profile),
    )
    return [finding for finding in found if finding is not None]


def _band(shop: Profile) -> Finding | None:
    best, now = band(shop.best_score), band(shop.score)
    fallen = BANDS.index(best) - BANDS.index(now)
    if fallen < 1:
        return None
    names = best.replace("_", " "), now.replace("_", " ")
    return Finding(
        "band_dropped",
        f"The score fell from {names[0]} ({shop.best_score}) to {names[1]} ({shop.score})"
        f" within {BAND_DAYS} days.",
        Severity.WARNING if fallen == 1 else Severity.CRITICAL,
    )


def _exposure(shop: Profile) -> Finding | None:
    if shop.exposure <= max(shop.limit * EXPOSURE_SHARE, ZERO):
        return None
    return Finding(
        "exposure_high",
        f"Owes and has promised {format_npr(shop.exposure)} of a limit of {format_npr(shop.limit)}.",
        Severity.WARNING if shop.exposure <= shop.limit else Severity.CRITICAL,
    )


def _late(shop: Profile) -> Finding | None:
    for days, severity in LATE:
        if shop.days_late > days:
            message = f"The oldest due is {shop.days_late} days late, more than {days}."
            return Finding("due_late", message, severity)
    return None


def _bounced(shop: Profile) -> Finding | None:
    if shop.bounced_on is None:
        return None
    return Finding("cheque_bounced", f"A cheque bounced on {shop.bounced_on:%Y-%m-%d}.")


def _sudden(shop: Profile) -> Finding | None:
    if shop.sudden_order is None:
        return None
    number, total, median = shop.sudden_order
    if total <= max(median * ORDER_TIMES, ORDER_LEAST):
        return None
    return Finding(
        "order_sudden",
        f"{number} of {format_npr(total)} is more than {ORDER_TIMES} times the usual"
        f" {format_npr(median)}.",
        Severity.INFO,
    )


TODAY = "(now() AT TIME ZONE 'Asia/Kathmandu')::date"
# The last review that was done, by the unique index of slots; the first looks at everybody who owes.
REVIEWED = """
SELECT started_at FROM jobs WHERE kind = 'payments.review_risk' AND slot = (
    SELECT max(slot) FROM jobs WHERE kind = 'payments.review_risk' AND slot IS NOT NULL AND state = 'done'
)
"""
OVERLAP = "interval '5 minutes'"  # of transactions that were under way when the last review read
# By entries, orders, scores; by dues that crossed a level as days went by; and where an alert is open.
DAY = "(%(since)s AT TIME ZONE 'Asia/Kathmandu')::date"
CHANGED = f"""
SELECT retailer_id FROM credit_ledgers WHERE created_at > %(since)s - {OVERLAP}
UNION SELECT retailer_id FROM orders WHERE created_at > %(since)s - {OVERLAP}
UNION SELECT retailer_id FROM credit_scores WHERE created_at > %(since)s - {OVERLAP}
UNION SELECT retailer_id FROM orders WHERE payment_status = 'OVERDUE' AND due_amount > 0 AND (
    due_date BETWEEN {DAY} - 31 AND {TODAY} - 31 OR due_date BETWEEN {DAY} - 61 AND {TODAY} - 61
    OR due_date BETWEEN {DAY} - 91 AND {TODAY} - 91)
UNION SELECT entity_id FROM alerts WHERE entity_type = 'retailer' AND resolved_at IS NULL
    AND code = ANY(%(codes)s)
ORDER BY 1
"""
EVERYBODY_OWING = (
    "SELECT id FROM retailers WHERE deleted_at IS NULL AND outstanding_debt > 0 ORDER BY 1"
)


def alert_code(code: str) -> str:
    return f"credit.{code}"


def changed() -> list[int]:
    """Return the shops whose facts changed since the last review was done. Two statements."""
    last = sql.fetch_one(REVIEWED)
    if last is None or last[0] is None:
        return [row[0] for row in sql.fetch(EVERYBODY_OWING)]
    return changed_since(last[0])


def changed_since(moment: datetime) -> list[int]:
    """Return the shops whose facts changed since, or for which an alert is open. One statement."""
    params = {"since": moment, "codes": [alert_code(code) for code in CODES]}
    return [row[0] for row in sql.fetch(CHANGED, params)]


PROFILES = f"""
SELECT r.id, r.outstanding_debt + r.reserved_credit, r.credit_limit, r.credit_score,
    greatest(r.credit_score, (
        SELECT max(s.score) FROM credit_scores s
        WHERE s.retailer_id = r.id AND s.created_at > now() - make_interval(days => %(band_days)s)
    ), (
        SELECT s.score FROM credit_scores s
        WHERE s.retailer_id = r.id AND s.created_at <= now() - make_interval(days => %(band_days)s)
        ORDER BY s.created_at DESC LIMIT 1
    )),
    coalesce((SELECT {TODAY} - min(o.due_date) FROM orders o
        WHERE o.retailer_id = r.id AND o.due_date IS NOT NULL AND o.due_amount > 0), 0),
    (SELECT max((p.reversed_at AT TIME ZONE 'Asia/Kathmandu')::date) FROM payments p
        WHERE p.retailer_id = r.id AND p.payment_status = 'REVERSED' AND p.bounced
            AND p.reversed_at > now() - make_interval(days => %(bounced_days)s)),
    n.order_number, n.total, m.median
FROM retailers r
LEFT JOIN LATERAL (
    SELECT o.order_number, o.total, o.created_at FROM orders o
    WHERE o.retailer_id = r.id AND o.created_at > now() - interval '1 day' AND o.status <> 'CANCELLED'
    ORDER BY o.total DESC LIMIT 1
) n ON true
LEFT JOIN LATERAL (
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY o.total) AS median, count(*) AS number FROM orders o
    WHERE o.retailer_id = r.id AND o.created_at < n.created_at AND o.status <> 'CANCELLED'
        AND o.created_at > n.created_at - make_interval(days => %(order_days)s)
) m ON m.number >= %(order_fewest)s
WHERE r.id = ANY(%(shops)s) ORDER BY r.id
"""


def profiles(retailer_ids: Sequence[int]) -> list[Profile]:
    """Return what the review looks at, of each shop. One statement."""
    rows = sql.fetch(
        PROFILES,
        {
            "shops": list(retailer_ids),
            "band_days": BAND_DAYS,
            "bounced_days": BOUNCED_DAYS,
            "order_days": ORDER_DAYS,
            "order_fewest": ORDER_FEWEST,
        },
    )
    return [_profile(*row) for row in rows]


def _profile(*row: Any) -> Profile:
    shop, exposure, limit, score, best, late, bounced, number, total, median = row
    sudden = None if median is None else (number, total, median)
    return Profile(shop, exposure, limit, score, best, late, bounced, sudden)


OPEN = (
    "SELECT entity_id, code, message, id FROM alerts WHERE entity_type = 'retailer'"
    " AND entity_id = ANY(%s) AND code = ANY(%s) AND resolved_at IS NULL"
)


def open_alerts(retailer_ids: Iterable[int]) -> Mapping[tuple[int, str], tuple[str, int]]:
    """Return (message, id) of the review's open alerts by shop and code. One statement."""
    rows: list[Any] = sql.fetch(OPEN, [list(retailer_ids), [alert_code(code) for code in CODES]])
    return {(shop, code): (message, pk) for shop, code, message, pk in rows}
