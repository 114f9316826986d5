"""What is owed by age, beside the ledger: by retailer, by vendor, by account, and in total.

Open amounts of invoices by days since their due date, less the credit that no invoice has used, are the
ledger's balance to the paisa (an invariant). Unapplied credit is what processed payments have left, and
entries that are of no invoice and no payment: adjustments, refunds, interest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from khaacho import sql
from khaacho.money import ZERO

TODAY = "(now() AT TIME ZONE 'Asia/Kathmandu')::date"


@dataclass(frozen=True)
class Ageing:
    """Amounts in NPR by days late. The buckets less `unapplied_credit` are the ledger's `balance`."""

    not_due: Decimal = ZERO
    days_1_30: Decimal = ZERO
    days_31_60: Decimal = ZERO
    days_61_90: Decimal = ZERO
    days_91_120: Decimal = ZERO
    over_120: Decimal = ZERO
    unapplied_credit: Decimal = ZERO

    @property
    def open_amount(self) -> Decimal:
        """What invoices have left to pay."""
        return self.not_due + self.overdue

    @property
    def overdue(self) -> Decimal:
        late = (self.days_1_30, self.days_31_60, self.days_61_90, self.days_91_120, self.over_120)
        return sum(late, ZERO)

    @property
    def balance(self) -> Decimal:
        return self.open_amount - self.unapplied_credit

    def __add__(self, other: "Ageing") -> "Ageing":
        names = [field.name for field in fields(self)]
        return Ageing(*(getattr(self, name) + getattr(other, name) for name in names))


# Added up by due date first: few dates are put into buckets, where there may be a million orders.
# `who` is what rows are grouped by: constants of this module, never a caller's text.
STATEMENT = """
WITH open AS (
    SELECT {who}, {day} - due_date AS late, sum(due_amount) AS due FROM orders
    WHERE due_date IS NOT NULL AND due_amount > 0 AND {mine} GROUP BY {who}, due_date
), advance AS (
    SELECT {who}, sum(amount - allocated_amount) AS credit FROM payments
    WHERE payment_status = 'PROCESSED' AND amount > allocated_amount AND {mine} GROUP BY {who}
), other AS (
    SELECT {who}, -sum(amount) AS credit FROM credit_ledgers e
    WHERE transaction_type IN ('REFUND_CREDIT', 'ADJUSTMENT_DEBIT', 'ADJUSTMENT_CREDIT', 'INTEREST_DEBIT')
        AND NOT EXISTS (SELECT FROM credit_ledgers m WHERE m.reverses_id = e.id) AND {mine}
    GROUP BY {who}
), part AS (
    SELECT {who}, due, late, 0 AS credit FROM open
    UNION ALL SELECT {who}, 0, 0, credit FROM advance
    UNION ALL SELECT {who}, 0, 0, credit FROM other
)
SELECT {who},
    coalesce(sum(due) FILTER (WHERE late <= 0), 0),
    coalesce(sum(due) FILTER (WHERE late BETWEEN 1 AND 30), 0),
    coalesce(sum(due) FILTER (WHERE late BETWEEN 31 AND 60), 0),
    coalesce(sum(due) FILTER (WHERE late BETWEEN 61 AND 90), 0),
    coalesce(sum(due) FILTER (WHERE late BETWEEN 91 AND 120), 0),
    coalesce(sum(due) FILTER (WHERE late > 120), 0),
    sum(credit)
FROM part GROUP BY {who}
"""


def by_retailer(
    *,
    retailer_ids: Sequence[int] | None = None,
    vendor_id: int | None = None,
    as_of: date | None = None,
) -> dict[int, Ageing]:
    """Return the ageing of each retailer, of all or of one vendor's receivables. One statement.

    Whoever owes nothing and has no credit is left out. `as_of` ages what is open now as of another
    day (Kathmandu's today without it).
    """
    return _by("retailer_id", retailer_ids, vendor_id, as_of)


def by_vendor(
    *, vendor_ids: Sequence[int] | None = None, as_of: date | None = None
) -> dict[int, Ageing]:
    """Return the ageing of each vendor's receivables; see `by_retailer`. One statement."""
    return _by("vendor_id", vendor_ids, None, as_of)


def total(*, as_of: date | None = None) -> Ageing:
    """Return the ageing of everything that is owed. One statement."""
    return sum(by_vendor(as_of=as_of).values(), Ageing())


def _by(
    who: str, ids: Sequence[int] | None, vendor_id: int | None, as_of: date | None
) -> dict[int, Ageing]:
    conditions = {
        f"{who} = ANY(%(ids)s::bigint[])": ids is not None,
        "vendor_id = %(vendor)s": vendor_id is not None,
    }
    statement = STATEMENT.format(
        who=who,
        day=TODAY if as_of is None else "%(day)s::date",
        mine=" AND ".join([text for text, wanted in conditions.items() if wanted] or ["true"]),
    )
    params: Mapping[str, Any] = {
        "ids": None if ids is None else list(ids),
        "vendor": vendor_id,
        "day": as_of,
    }
    return {row[0]: Ageing(*row[1:]) for row in sql.fetch(statement, params)}
