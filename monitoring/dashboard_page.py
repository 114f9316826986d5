"""The index of the admin: today's trade beside last week's, and two weeks by the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khaacho import sql
from khaacho.actors import SYSTEM
from khaacho.adminsite import pages
from khaacho.adminsite.charts import Series, bar_chart, line_chart
from khaacho.money import format_npr, lakh
from monitoring import selectors
from orders.enums import OrderStatus
from payments.enums import PaymentState

DAYS = 14  # of the trend, today among them

# A row for each day of Kathmandu's, the oldest first. `so_far` is what came until this time of the day.
TREND = """
WITH since AS (SELECT now() AT TIME ZONE 'Asia/Kathmandu' AS here,
    ((now() AT TIME ZONE 'Asia/Kathmandu')::date - %(days)s + 1)::timestamp
        AT TIME ZONE 'Asia/Kathmandu' AS first),
placed AS (SELECT (created_at AT TIME ZONE 'Asia/Kathmandu')::date AS day, count(*) AS orders,
    sum(total) AS value,
    count(*) FILTER (WHERE (created_at AT TIME ZONE 'Asia/Kathmandu')::time <= here::time) AS orders_so_far,
    sum(total) FILTER (WHERE (created_at AT TIME ZONE 'Asia/Kathmandu')::time <= here::time) AS value_so_far
    FROM orders, since WHERE created_at >= first AND status <> 'CANCELLED' GROUP BY 1),
received AS (SELECT (created_at AT TIME ZONE 'Asia/Kathmandu')::date AS day, sum(amount) AS amount,
    sum(amount) FILTER (WHERE (created_at AT TIME ZONE 'Asia/Kathmandu')::time <= here::time) AS so_far
    FROM payments, since WHERE created_at >= first AND payment_status = 'PROCESSED' GROUP BY 1)
SELECT here::date - n, coalesce(orders, 0), coalesce(value, 0), coalesce(received.amount, 0),
    coalesce(orders_so_far, 0), coalesce(value_so_far, 0), coalesce(received.so_far, 0)
FROM since CROSS JOIN generate_series(%(days)s - 1, 0, -1) AS n
LEFT JOIN placed ON placed.day = here::date - n LEFT JOIN received ON received.day = here::date - n
ORDER BY n DESC
"""
# What fell due within the last week and is not paid, what was delivered in it and is not, and the jobs.
NEWLY = """
WITH day AS (SELECT (now() AT TIME ZONE 'Asia/Kathmandu')::date AS today)
SELECT (SELECT coalesce(sum(due_amount), 0) FROM orders, day
        WHERE due_date >= today - 7 AND due_date < today AND due_amount > 0),
    (SELECT coalesce(sum(due_amount), 0) FROM orders
        WHERE created_at >= now() - interval '7 days' AND due_date IS NOT NULL AND due_amount > 0),
    (SELECT count(*) FROM jobs WHERE state = 'queued' AND run_after <= now()),
    (SELECT count(*) FROM jobs WHERE state = 'dead')
"""


@dataclass(frozen=True)
class Day:
    """A day's orders that are not cancelled, their value and the money received (NPR); and until this time of day."""

    day: date
    orders: int
    value: Decimal
    received: Decimal
    orders_so_far: int
    value_so_far: Decimal
    received_so_far: Decimal


@dataclass(frozen=True)
class Figure:
    """A figure as a card shows it; `change` is a sentence, `tone` its badge's."""

    name: str
    text: str
    url: str
    change: str
    tone: str = "quiet"


@dataclass(frozen=True)
class Front:
    """What the template shows."""

    figures: Sequence[Figure]
    chart: SafeString
    days: Sequence[Day]
    best: SafeString


def trend() -> list[Day]:
    """Return the last DAYS days, the oldest first. One statement, by the indexes on the time of placing and paying."""
    return [Day(*row) for row in sql.fetch(TREND, {"days": DAYS})]


def front() -> Front:
    """Return what the index shows of the trade. Four statements."""
    now = selectors.dashboard(SYSTEM)
    days = trend()
    return Front(
        figures=_figures(now, days),
        chart=_chart(days),
        days=days[::-1],
        best=bar_chart(
            [(each.product_name, float(each.value)) for each in now.top_products],
            title=_("Most ordered in 30 days, by value without VAT"),
            unit="NPR",
        ),
    )


def _figures(now: selectors.Dashboard, days: Sequence[Day]) -> list[Figure]:
    row = sql.fetch_one(NEWLY)
    assert row is not None
    fell_due, lent, waiting, dead = row
    then, orders_url = days[-8], _placed_today(days[-1].day)
    return [
        Figure(
            _("Orders today"),
            lakh(now.today.orders),
            orders_url,
            *change(now.today.orders, then.orders_so_far),
        ),
        Figure(
            _("Value today"),
            format_npr(now.today.value),
            orders_url,
            *change(now.today.value, then.value_so_far),
        ),
        Figure(
            _("Collected today"),
            format_npr(now.today.collection),
            _address(
                "payments_payment",
                _since(days[-1].day),
                payment_status__exact=PaymentState.PROCESSED,
            ),
            *change(now.today.collection, then.received_so_far),
        ),
        Figure(
            _("Outstanding"),
            format_npr(now.outstanding),
            _address("credit_retailer", debt="owing"),
            _("%s of it from orders of 7 days") % format_npr(lent),
        ),
        Figure(
            _("Overdue"),
            format_npr(now.overdue),
            _address("orders_order", payment_status__exact="OVERDUE"),
            _("%s of it since last week") % format_npr(fell_due),
            "warn" if fell_due else "quiet",
        ),
        Figure(
            _("Jobs waiting"),
            lakh(waiting),
            reverse("queue-board"),
            _("%s dead") % lakh(dead),
            "bad" if dead else "quiet",
        ),
    ]


def change(now: Decimal | int, then: Decimal | int) -> tuple[str, str]:
    """Say how a figure of today compares with the same weekday last week until this time, and the badge's tone."""
    if not then:
        return _("none until now last week"), "quiet"
    percent = round(100 * (now - then) / then)
    sign = "+" if percent > 0 else "−" if percent < 0 else "±"
    said = _("%(change)s %% on last week until now") % {"change": f"{sign}{lakh(abs(percent))}"}
    return said, "good" if percent > 0 else "warn" if percent < 0 else "quiet"


def _chart(days: Sequence[Day]) -> SafeString:
    noons = [timezone.make_aware(datetime.combine(each.day, time(12))) for each in days]
    return line_chart(
        [
            Series(
                _("Orders"), [(noon, each.orders) for noon, each in zip(noons, days, strict=True)]
            )
        ],
        title=_("Orders by the day"),
        unit="",
        since=_midnight(days[0].day),
        until=_midnight(days[-1].day + timedelta(days=1)),
    )


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time()))


def _since(day: date) -> dict[str, Any]:
    return {
        "created_at__gte": str(_midnight(day)),
        "created_at__lt": str(_midnight(day + timedelta(days=1))),
    }


def _placed_today(day: date) -> str:
    states = ",".join(each for each in OrderStatus.values if each != OrderStatus.CANCELLED)
    return _address("orders_order", _since(day), status__in=states)


def _address(model: str, query: dict[str, Any] | None = None, **more: str) -> str:
    return f"{reverse(f'admin:{model}_changelist')}?{urlencode({**(query or {}), **more})}"


pages.add_section(
    pages.Section(
        name="trade",
        template="monitoring/front.html",
        permissions=(
            "orders.view_order",
            "payments.view_payment",
            "credit.view_retailer",
            "khaacho.view_job",
        ),
        look=front,
    )
)
