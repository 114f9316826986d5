"""Facts out of a shop's history: how much of its limit was in use, and how regularly it orders."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal

from credit.scoring.facts import gaps_between
from credit.scoring.model import Model

SHARE = Decimal("0.0001")


@dataclass(frozen=True)
class Rhythm:
    """When a shop orders: see Facts."""

    active_periods: int
    gaps: tuple[int, ...]
    customer_since: date | None


def rhythm(order_days: Iterable[date], as_of: date, model: Model) -> Rhythm:
    """Return the rhythm of orders on these days, in any order.

    A shop is a customer since its first order, and anew after as many days without one as the periods
    that are looked at have.
    """
    days = sorted({day for day in order_days if day <= as_of})
    span = model.period_days * model.periods
    since: date | None = None
    before: date | None = None
    for day in days:
        if before is None or (day - before).days > span:
            since = day
        before = day
    recent = [day for day in days if (as_of - day).days < span]
    periods = {(as_of - day).days // model.period_days for day in recent}
    return Rhythm(len(periods), gaps_between(recent), since)


def utilisation(
    *,
    debt: Decimal,
    limit: Decimal,
    changes: Mapping[date, Decimal],
    limits_before: Sequence[tuple[date, Decimal]],
    since: date | None,
    as_of: date,
    model: Model,
) -> Decimal | None:
    """Return the mean of debt / limit at the end of each of the last 90 days, in four places.

    `debt` and `limit` (NPR) are today's, `changes` the debt's by day; `limits_before` are (day of a
    change, limit until then). Days before `since` and days without a limit do not count, a
    day's share is 0 to 1; None when no day counts.
    """
    if since is None:
        return None
    first = max(since, as_of - timedelta(days=model.utilisation_days - 1))
    earlier = sorted(limits_before, key=lambda change: change[0])
    total, days, day = Decimal(0), 0, as_of
    while day >= first:
        while earlier and earlier[-1][0] > day:
            limit = earlier.pop()[1]
        if limit > 0:
            total += min(max(debt / limit, Decimal(0)), Decimal(1))
            days += 1
        debt -= changes.get(day, Decimal(0))
        day -= timedelta(days=1)
    return (total / days).quantize(SHARE, rounding=ROUND_HALF_UP) if days else None
