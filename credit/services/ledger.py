"""Posting to the ledger. The insert trigger locks retailer and account and keeps the balances."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from credit.enums import EntryType
from credit.exceptions import AlreadyReversed
from credit.models import CreditLedger
from credit.services.exposure import EXPOSURE_CHANGE
from khaacho import sql
from khaacho.actors import Actor
from khaacho.exceptions import NotFound


@dataclass(frozen=True)
class Entry:
    """A posted entry: its id, number for people, and the account's balance after it (NPR)."""

    id: int
    entry_number: str
    running_balance: Decimal


@dataclass(frozen=True)
class DeliveryEntry(Entry):
    """The debit of a delivered order, and the date on which it is due."""

    due_date: date


def post_entry(
    *,
    account_id: int,
    kind: EntryType,
    amount: Decimal,
    key: str,
    reference: str,
    actor: Actor,
    due_date: date | None = None,
    reverses_id: int | None = None,
    note: str = "",
) -> Entry:
    """Append one entry of `amount` NPR (positive: the retailer owes more). One statement.

    Locks retailer, then account. Raises IntegrityError when `key` was posted before.
    """
    row = sql.fetch_one(
        "INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference, due_date,"
        " reverses_id, note, actor_id) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " RETURNING id, entry_number, running_balance",
        [account_id, kind, amount, key, reference, due_date, reverses_id, note, actor.user_id],
    )
    assert row is not None
    return Entry(*row)


POST_DELIVERY = (
    f"WITH {EXPOSURE_CHANGE}"
    " INSERT INTO credit_ledgers (account_id, transaction_type, amount, key, reference, due_date, actor_id)"
    " SELECT a.id, 'ORDER_DEBIT', %(debit)s, %(key)s, %(reference)s,"
    " (now() AT TIME ZONE 'Asia/Kathmandu')::date"
    " + CASE WHEN %(by_terms)s THEN a.payment_terms_days ELSE 0 END, %(actor)s FROM a"
    " RETURNING id, entry_number, running_balance, due_date"
)


def post_delivery(
    *,
    retailer_id: int,
    vendor_id: int,
    amount: Decimal,
    reserved: Decimal,
    due_by_terms: bool,
    key: str,
    reference: str,
    actor: Actor,
) -> DeliveryEntry:
    """Turn a promise of `reserved` NPR into a debit of `amount` NPR. One statement.

    Due after the account's terms, or today (Kathmandu's calendar). A pair without an account gets one.
    Locks retailer, then account; the promise is taken back before the entry's trigger posts to the
    same two rows. Raises IntegrityError when `key` was posted before.
    """
    row = sql.fetch_one(
        POST_DELIVERY,
        {
            "retailer": retailer_id,
            "vendor": vendor_id,
            "amount": -reserved,
            "debit": amount,
            "by_terms": due_by_terms,
            "key": key,
            "reference": reference,
            "actor": actor.user_id,
        },
    )
    assert row is not None
    return DeliveryEntry(*row)


def reverse_entry(*, entry_id: int, note: str, actor: Actor) -> Entry:
    """Append the mirror of an entry, dated now. Raises NotFound, AlreadyReversed."""
    entry = CreditLedger.objects.filter(pk=entry_id).first()
    if entry is None:
        raise NotFound
    if CreditLedger.objects.filter(reverses_id=entry_id).exists():
        raise AlreadyReversed
    return post_entry(
        account_id=entry.account_id,
        kind=EntryType.REVERSAL,
        amount=-entry.amount,
        key=f"entry:{entry_id}:reversal",
        reference=entry.reference,
        reverses_id=entry_id,
        note=note[:300],
        actor=actor,
    )
