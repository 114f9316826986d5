"""Reserving credit: the retailer's row first, then the account's, one conditional UPDATE each."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction

from credit.exceptions import AccountFrozen, CreditLimitExceeded
from credit.models import CreditAccount, CreditApproval, Retailer
from khaacho import audit, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Forbidden, Invalid, NotFound, Refused
from khaacho.money import ZERO, format_npr


@dataclass(frozen=True)
class Exposure:
    """What a retailer owes and has promised (NPR) including a reservation, beside the limits."""

    platform_exposure: Decimal
    platform_limit: Decimal
    account_exposure: Decimal
    account_limit: Decimal | None


def open_account(*, retailer_id: int, vendor_id: int) -> int:
    """Return the pair's account id; it comes into being with the first order, without a limit."""
    row = sql.fetch_one(
        "INSERT INTO credit_accounts (retailer_id, vendor_id, payment_terms_days)"
        " SELECT %(retailer)s, %(vendor)s, 30 WHERE NOT EXISTS (SELECT FROM credit_accounts"
        " WHERE retailer_id = %(retailer)s AND vendor_id = %(vendor)s)"
        " ON CONFLICT (retailer_id, vendor_id) DO NOTHING RETURNING id",
        {"retailer": retailer_id, "vendor": vendor_id},
    )
    if row:
        return int(row[0])
    return CreditAccount.objects.values_list("pk", flat=True).get(
        retailer_id=retailer_id, vendor_id=vendor_id
    )


def reserve(
    *, retailer_id: int, vendor_id: int, amount: Decimal, approved: bool = False
) -> Exposure:
    """Promise `amount` NPR of credit to an open order, within the platform's and the account's limit.

    The pair's account is opened when it has none. One statement. Locks retailer, then account. With `approved` an unused CreditApproval must cover the excess (the
    triggers look). The transaction must be rolled back on CreditLimitExceeded and AccountFrozen.
    """
    row = sql.fetch_one(
        "WITH r AS (UPDATE retailers SET reserved_credit = reserved_credit + %(amount)s"
        " WHERE id = %(retailer)s"
        " AND (%(approved)s OR outstanding_debt + reserved_credit + %(amount)s <= credit_limit)"
        " RETURNING id, outstanding_debt + reserved_credit AS exposure, credit_limit),"
        " a AS (INSERT INTO credit_accounts AS c (retailer_id, vendor_id, payment_terms_days, reserved)"
        " SELECT r.id, %(vendor)s, 30, %(amount)s FROM r"
        " ON CONFLICT (retailer_id, vendor_id) DO UPDATE SET reserved = c.reserved + %(amount)s"
        " WHERE NOT c.is_frozen AND (%(approved)s OR c.credit_limit IS NULL"
        " OR c.balance + c.reserved + %(amount)s <= c.credit_limit)"
        " RETURNING c.balance + c.reserved AS exposure, c.credit_limit)"
        " SELECT r.exposure, r.credit_limit, a.exposure, a.credit_limit FROM r CROSS JOIN a",
        {"retailer": retailer_id, "vendor": vendor_id, "amount": amount, "approved": approved},
    )
    if row is None:
        raise refusal(retailer_id=retailer_id, vendor_id=vendor_id, amount=amount)
    return Exposure(*row)


def refusal(*, retailer_id: int, vendor_id: int, amount: Decimal) -> Refused:
    """Return the refusal of a reservation of `amount` NPR, with the numbers of this moment."""
    retailer = Retailer.objects.get(pk=retailer_id)
    account = CreditAccount.objects.filter(retailer_id=retailer_id, vendor_id=vendor_id).first()
    if account is not None and account.is_frozen:
        return AccountFrozen(account.frozen_reason or "")
    free = retailer.credit_limit - retailer.outstanding_debt - retailer.reserved_credit
    if account is not None and account.credit_limit is not None:
        free = min(free, account.credit_limit - account.balance - account.reserved)
    available = max(free, ZERO)
    return CreditLimitExceeded(
        f"The order needs {format_npr(amount)} of credit; {format_npr(available)} is available.",
        available=available,
        required=amount,
        shortfall=amount - available,
    )


# `a` is the account, opened when there is none. Nothing is compared: only `reserve` raises a promise.
EXPOSURE_CHANGE = (
    "r AS (UPDATE retailers SET reserved_credit = reserved_credit + %(amount)s"
    " WHERE id = %(retailer)s RETURNING id),"
    " a AS (INSERT INTO credit_accounts AS c (retailer_id, vendor_id, payment_terms_days)"
    " SELECT r.id, %(vendor)s, 30 FROM r"
    " ON CONFLICT (retailer_id, vendor_id) DO UPDATE SET reserved = c.reserved + %(amount)s"
    " RETURNING c.id, c.payment_terms_days)"
)


def release(*, retailer_id: int, vendor_id: int, amount: Decimal) -> None:
    """Take back a promise of `amount` NPR. Locks retailer, then account. One statement."""
    row = sql.fetch_one(
        f"WITH {EXPOSURE_CHANGE} SELECT a.id FROM a",
        {"retailer": retailer_id, "vendor": vendor_id, "amount": -amount},
    )
    if row is None:
        raise NotFound


def approve_excess(
    *, account_id: int, amount: Decimal, reason: str, actor: Actor
) -> CreditApproval:
    """Let one order of at most `amount` NPR exceed the limits, once. A person does this, with a reason."""
    require_staff(actor)
    if actor.user_id is None:
        raise Forbidden("A person approves an excess.")
    return CreditApproval.objects.create(
        account_id=account_id, amount=amount, reason=reason[:300], approved_by_id=actor.user_id
    )


def use_approval(*, approval_id: int, used_for: str) -> None:
    """Mark the credit desk's approval as used up by `used_for` (an order's number)."""
    CreditApproval.objects.filter(pk=approval_id).update(used_for=used_for)


@transaction.atomic
def freeze_account(*, account_id: int, reason: str, actor: Actor) -> None:
    """Let an account make no new credit until staff have looked; payments and deliveries go on.

    An account that is frozen already keeps its reason.
    """
    _set_frozen(account_id, frozen=True, reason=reason, actor=actor)


@transaction.atomic
def unfreeze_account(*, account_id: int, reason: str, actor: Actor) -> None:
    """Let a frozen account make credit again."""
    _set_frozen(account_id, frozen=False, reason=reason, actor=actor)


def _set_frozen(account_id: int, *, frozen: bool, reason: str, actor: Actor) -> None:
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    require_staff(actor)
    changed = CreditAccount.objects.filter(pk=account_id, is_frozen=not frozen).update(
        is_frozen=frozen, frozen_reason=reason[:300] if frozen else ""
    )
    if changed:
        audit.record(
            actor,
            "credit_account.frozen" if frozen else "credit_account.unfrozen",
            entity_type="credit_account",
            entity_id=account_id,
            reason=reason,
        )
