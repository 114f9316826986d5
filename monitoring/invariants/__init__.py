"""The rules that must hold at any moment, each a query that returns no rows.

`manage.py verify` prints them, the nightly job acts on them.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.db import transaction

from credit.enums import EntryType
from khaacho import sql
from khaacho.enums import OPEN_JOB_STATES
from monitoring.invariants import credit, dunning, ledger, orders, payments, scores, work
from monitoring.invariants.rule import Invariant
from orders.enums import (
    INVOICED,
    NEXT,
    UNDELIVERED,
    UNDISPATCHED,
    AcceptanceStatus,
    OrderSource,
    OrderStatus,
    PaymentTerms,
)
from payments.enums import PaymentState

__all__ = [
    "INVARIANTS",
    "Altered",
    "Invariant",
    "Offence",
    "Result",
    "altered_entries",
    "run_invariants",
]

INVARIANTS = (
    *ledger.INVARIANTS,
    *credit.INVARIANTS,
    *scores.INVARIANTS,
    *orders.INVARIANTS,
    *payments.INVARIANTS,
    *dunning.INVARIANTS,
    *work.INVARIANTS,
)
PARAMS: Mapping[str, Any] = {
    "invoiced": list(INVOICED),
    "undelivered": list(UNDELIVERED),
    "undispatched": list(UNDISPATCHED),
    "accepted": [
        s
        for s in OrderStatus
        if s not in {OrderStatus.PLACED, OrderStatus.PENDING, OrderStatus.CANCELLED}
    ],
    "placed": OrderStatus.PLACED,
    "pending": OrderStatus.PENDING,
    "cancelled": OrderStatus.CANCELLED,
    "edges": [f">{OrderStatus.PLACED}", *(f"{a}>{b}" for a, ends in NEXT.items() for b in ends)],
    "unanswered": AcceptanceStatus.PENDING,
    "agreed": AcceptanceStatus.ACCEPTED,
    "on_credit": PaymentTerms.CREDIT,
    "by_whatsapp": OrderSource.WHATSAPP,
    "order_debit": EntryType.ORDER_DEBIT,
    "payment_credit": EntryType.PAYMENT_CREDIT,
    "processed": PaymentState.PROCESSED,
    "reversed": PaymentState.REVERSED,
    "posted": [PaymentState.PROCESSED, PaymentState.REVERSED],
    "open_jobs": list(OPEN_JOB_STATES),
}
EXAMPLES = 10
ACCOUNT_OF = {
    "credit_account": "offender.id",
    "order": "(SELECT a.id FROM orders o JOIN credit_accounts a USING (retailer_id, vendor_id)"
    " WHERE o.id = offender.id)",
    "payment": "(SELECT account_id FROM payments WHERE id = offender.id)",
    "ledger_entry": "(SELECT account_id FROM credit_ledgers WHERE id = offender.id)",
}
# One scan of the offenders, however many there are: all of their accounts, but few examples.
REPORT = """
WITH offender (id, fault) AS MATERIALIZED ({offenders}), placed AS (
    SELECT id, fault, {account}::bigint AS account_id, row_number() OVER (ORDER BY id) AS n FROM offender
)
SELECT count(*), array_agg(DISTINCT account_id) FILTER (WHERE account_id IS NOT NULL),
    array_agg(coalesce(id, 0) ORDER BY n) FILTER (WHERE n <= {examples}),
    array_agg(fault ORDER BY n) FILTER (WHERE n <= {examples})
FROM placed
"""


@dataclass(frozen=True)
class Offence:
    """A row that breaks a rule: its id (0 when it should exist and does not), and what is wrong."""

    entity_id: int
    fault: str


@dataclass(frozen=True)
class Result:
    """One rule's outcome. `account_ids` are all credit accounts concerned, `examples` the first few."""

    invariant: Invariant
    checked: int
    violations: int
    account_ids: tuple[int, ...]
    examples: tuple[Offence, ...]
    milliseconds: float


@dataclass(frozen=True)
class Altered:
    """A ledger entry that was altered, or the place where entries are missing."""

    account_id: int
    sequence: int
    entry_number: str
    fault: str


def run_invariants(names: Iterable[str] = ()) -> list[Result]:
    """Check all rules, or those named. Each is one statement with a snapshot of its own; no locks.

    Raises KeyError for an unknown name.
    """
    by_name = {i.name: i for i in INVARIANTS}
    chosen = [by_name[name] for name in names] or INVARIANTS
    counted: dict[str, int] = {}
    with transaction.atomic():
        _unhurried()
        return [_check(invariant, counted) for invariant in chosen]


def altered_entries(account_id: int | None = None) -> list[Altered]:
    """Find and locate every altered ledger row, of one account or of all, in the ledger's order."""
    with transaction.atomic():
        _unhurried()
        rows = sql.fetch(
            "SELECT account_id, sequence, entry_number, fault"
            f" FROM ({ledger.ALTERED}) altered"
            " WHERE account_id = coalesce(%(account)s, account_id) ORDER BY account_id, sequence",
            {"account": account_id},
        )
    return [Altered(*row) for row in rows]


def _unhurried() -> None:
    """Let this transaction's checks of whole tables take time and memory that a request may not."""
    sql.fetch(
        "SELECT set_config('statement_timeout', '10min', true), set_config('work_mem', '64MB', true),"
        " set_config('jit', 'off', true)"
    )


def _check(invariant: Invariant, counted: dict[str, int]) -> Result:
    """Run one rule; `counted` remembers the sizes of tables that several rules look at."""
    started = time.perf_counter()
    if invariant.checked not in counted:
        row = sql.fetch_one(f"SELECT count(*) FROM {invariant.checked}", PARAMS)
        counted[invariant.checked] = row[0] if row else 0
    violations, accounts, examples = _computed(invariant) if invariant.find else _asked(invariant)
    return Result(
        invariant=invariant,
        checked=counted[invariant.checked],
        violations=violations,
        account_ids=accounts,
        examples=examples,
        milliseconds=(time.perf_counter() - started) * 1000,
    )


Found = tuple[int, tuple[int, ...], tuple[Offence, ...]]  # violations, accounts, examples


def _asked(invariant: Invariant) -> Found:
    statement = REPORT.format(
        offenders=invariant.offenders,
        account=ACCOUNT_OF.get(invariant.entity, "NULL"),
        examples=EXAMPLES,
    )
    row = sql.fetch_one(statement, PARAMS)
    assert row is not None
    violations, accounts, ids, faults = row
    return violations, tuple(accounts or ()), tuple(map(Offence, ids or (), faults or ()))


def _computed(invariant: Invariant) -> Found:
    assert invariant.find is not None
    found = sorted(invariant.find())
    return len(found), (), tuple(Offence(*each) for each in found[:EXAMPLES])
