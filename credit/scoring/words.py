"""The credit score in words: one sentence a factor, with its numbers."""

from datetime import date
from decimal import ROUND_HALF_UP, Decimal

from credit.scoring.facts import Facts, Invoice
from credit.scoring.model import Model
from khaacho.money import format_npr

NAMES = {
    "payment": "Payment",
    "utilisation": "Utilisation",
    "disputes": "Disputes",
    "consistency": "Consistency",
    "tenure": "Tenure",
}
PROVISIONAL = "Provisional: fewer than 3 invoices settled so far"
WRITTEN_OFF = "A debt was written off"


def sentences(facts: Facts, model: Model) -> dict[str, str]:
    """Return a sentence for each factor, without its points."""
    return {
        "payment": _payment(facts, model),
        "utilisation": _utilisation(facts, model),
        "disputes": _disputes(facts),
        "consistency": _consistency(facts, model),
        "tenure": _tenure(facts, model),
    }


def count(number: int, noun: str) -> str:
    """Return `1 day`, `2 days`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def late(days: int, more_than: int) -> str:
    return f"The oldest due is {count(days, 'day')} late (more than {more_than})"


def bounced(day: date) -> str:
    return f"A cheque bounced on {day:%Y-%m-%d}"


def _payment(facts: Facts, model: Model) -> str:
    invoices = facts.counted(model)
    if not invoices:
        return "No invoice has fallen due yet"
    delays = [invoice.days_late(facts.as_of) for invoice in invoices]
    many = count(len(invoices), "invoice")
    tardy = sum(delay > 0 for delay in delays)
    if not tardy:
        return f"{many} due, all paid in time; more would count for more"
    return f"{tardy} of {many} late, worst {count(max(delays), 'day')}"


def percent(share: Decimal) -> str:
    return f"{(share * 100).quantize(Decimal(1), rounding=ROUND_HALF_UP)} %"


def _utilisation(facts: Facts, model: Model) -> str:
    if facts.utilisation is None:
        return "No use of a credit limit is known"
    return (
        f"{percent(facts.utilisation)} of the limit in use"
        f" on average of {model.utilisation_days} days"
    )


def _disputes(facts: Facts) -> str:
    return f"{count(facts.disputes, 'dispute')} in {count(facts.orders, 'order')}"


def _consistency(facts: Facts, model: Model) -> str:
    if facts.customer_since is None:
        return "No order yet"
    return (
        f"Orders in {facts.active_periods} of the last {model.periods} periods"
        f" of {model.period_days} days" + _rhythm(facts)
    )


def _rhythm(facts: Facts) -> str:
    if len(facts.gaps) < 2:
        return ""
    return f", {min(facts.gaps)} to {count(max(facts.gaps), 'day')} apart"


def _tenure(facts: Facts, model: Model) -> str:
    return f"A customer for {count(facts.months, 'month')}, {model.tenure_months} earn all points"


def advice(invoice: Invoice, days_late: int, today: tuple[int, int], later: tuple[int, int]) -> str:
    """Say what paying an invoice does: the scores (as it is, if paid), and in 30 days (if paid, if not)."""
    when = f"due {invoice.due:%Y-%m-%d}"
    if days_late:
        when += f", {count(days_late, 'day')} late"
    now, paid = today
    change = f"{paid} instead of {now}" if paid != now else f"the score stays {now}"
    paid_later, unpaid_later = later
    difference = (
        f"in 30 days {paid_later}, and {unpaid_later} if it is still unpaid then"
        if paid_later != unpaid_later
        else f"in 30 days {paid_later} either way"
    )
    return (
        f"{invoice.number} ({when}, {format_npr(invoice.left)}) paid today: {change}; {difference}"
    )
