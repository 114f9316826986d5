"""What the day came to, and whether the API still says so."""

from collections import Counter
from collections.abc import Iterable, Mapping
from decimal import Decimal
from statistics import quantiles

from rich.table import Table

from bench.trade.play.day import Day, Row
from bench.trade.play.site import Site
from khaacho.money import format_npr


def differences(day: Day) -> list[str]:
    """Say where orders and payments, read again, are not what was answered when they last moved."""
    if not day.orders:
        return ["no order was placed"]
    operator = day.cast.operator
    since = min(order["created_at"] for order in day.orders.values())
    orders = operator.rows("list orders", "orders/", created_after=since)
    now = {row["id"]: _order_facts(row) for row in orders}
    then = {order["id"]: _order_facts(order) for order in day.orders.values()}
    payments = operator.rows("list payments", "payments/", search=f"{day.prefix}/")
    paid_now = {row["reference"]: _payment_facts(row) for row in payments}
    paid_then = {reference: _payment_facts(row) for reference, row in day.payments.items()}
    return [
        *(
            f"order {pk}: {now.get(pk)}, was {facts}"
            for pk, facts in then.items()
            if now.get(pk) != facts
        ),
        *(
            f"payment {r}: {paid_now.get(r)}, was {paid_then.get(r)}"
            for r in paid_now.keys() | paid_then.keys()
            if paid_now.get(r) != paid_then.get(r)
        ),
    ]


def _order_facts(row: Row) -> tuple[str, Decimal]:
    return row["status"], Decimal(row["total"])


def _payment_facts(row: Row) -> tuple[str, Decimal]:
    return row["status"], Decimal(row["amount"])


def consistency(day: Day, found: list[str]) -> str:
    """Say in a line whether what was seen is what the API says."""
    value = format_npr(_sum(day.orders.values(), "total"))
    seen = f"{len(day.orders)} orders of {value} and {len(day.payments)} payments"
    if found:
        return f"[red]The API does not agree with what it answered: {len(found)} differences"
    return f"[green]Consistent: {seen}, as answered then and as the API lists them now"


def table(day: Day, site: Site, work: Mapping[str, int]) -> Table:
    """Show orders, refusals, payments, messages, jobs and the times of requests."""
    shown = Table("what happened", "count", "value", "p50 ms", "p95 ms")
    for column in shown.columns[1:]:
        column.justify = "right"
    _add_orders(shown, day)
    _add_payments(shown, day)
    shown.add_row("refusals", str(sum(day.refusals.values())))
    for code, count in sorted(day.refusals.items()):
        shown.add_row(f"  {code}", str(count))
    shown.add_row("keys repeated and answered again", str(day.replays))
    shown.add_row("orders handed to another vendor", str(day.handed_over), end_section=True)
    for name, count in work.items():
        shown.add_row(name, f"{count:,}", end_section=name == "messages out")
    _add_times(shown, site)
    return shown


def _sum(rows: Iterable[Row], name: str) -> Decimal:
    return sum((Decimal(row[name]) for row in rows), Decimal(0))


def _add_orders(shown: Table, day: Day) -> None:
    orders = list(day.orders.values())
    shown.add_row("orders placed", str(len(orders)), format_npr(_sum(orders, "total")))
    if day.spoken:
        shown.add_row("  by WhatsApp", str(day.spoken))
    for status, count in Counter(order["status"] for order in orders).most_common():
        value = _sum([order for order in orders if order["status"] == status], "total")
        shown.add_row(f"  {status}", str(count), format_npr(value))


def _add_payments(shown: Table, day: Day) -> None:
    payments = list(day.payments.values())
    shown.add_row("payments", str(len(payments)), format_npr(_sum(payments, "amount")))
    for status, count in Counter(payment["status"] for payment in payments).most_common():
        value = _sum([payment for payment in payments if payment["status"] == status], "amount")
        shown.add_row(f"  {status}", str(count), format_npr(value))


def _add_times(shown: Table, site: Site) -> None:
    everything = [seconds for times in site.timings.values() for seconds in times]
    rows = sorted(site.timings.items(), key=lambda item: -len(item[1]))
    for name, times in [("all requests", everything), *rows]:
        cuts = quantiles(times, n=20, method="inclusive") if len(times) > 1 else times * 19
        shown.add_row(
            name, f"{len(times):,}", "", f"{cuts[9] * 1000:.0f}", f"{cuts[18] * 1000:.0f}"
        )
