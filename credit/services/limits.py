"""Limits and terms. A rise above the threshold waits for a second person."""

from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from credit import shown
from credit.enums import RequestState
from credit.events import CreditLimitChanged
from credit.exceptions import SecondPersonNeeded
from credit.models import CreditAccount, LimitChange, Retailer
from credit.services.retailers import lock_retailer
from khaacho import audit, events
from khaacho.actors import Actor, act, require_staff, require_tenant
from khaacho.exceptions import Conflict, Invalid, NotFound

MAX_LIMIT = Decimal("999999999.99")


@transaction.atomic
def change_limit(
    *,
    retailer_id: int,
    new_limit: Decimal | None,
    reason: str,
    actor: Actor,
    vendor_id: int | None = None,
) -> LimitChange:
    """Set the platform's limit (staff), or one account's (`vendor_id`: that vendor or staff), in NPR.

    Applies at once unless it is a rise above settings.LIMIT_SECOND_PERSON_ABOVE, which stays PENDING
    until decide_limit_change(). NULL removes an account's own limit. A cut below today's exposure is
    allowed. Locks the retailer. Raises Conflict when a change is pending already; one that the score
    suggested gives way.
    """
    _check_limit(new_limit, reason, is_platform=vendor_id is None)
    act(actor, reason)
    if vendor_id is None:
        require_staff(actor)
    else:
        require_tenant(actor, vendor_id=vendor_id)
    retailer = lock_retailer(retailer_id)
    account = _account(retailer_id, vendor_id)
    waiting = pending(retailer, account)
    if waiting is not None and not waiting.is_automatic:
        raise Conflict("A change of this limit waits for a decision.")
    if waiting is not None:
        decline(waiting, actor, "Another limit was asked for instead.")
    return request_change(
        retailer=retailer, account=account, new_limit=new_limit, reason=reason, actor=actor
    )


def pending(retailer: Retailer, account: CreditAccount | None) -> LimitChange | None:
    """Return the change of the limit that waits for a decision."""
    return LimitChange.objects.filter(
        retailer=retailer, account=account, state=RequestState.PENDING
    ).first()


def request_change(
    *,
    retailer: Retailer,
    account: CreditAccount | None,
    new_limit: Decimal | None,
    reason: str,
    actor: Actor,
    is_automatic: bool = False,
    waits: bool = False,
) -> LimitChange:
    """Write a change and apply it, unless it `waits` or is a large rise. The caller holds the retailer's lock."""
    old = retailer.credit_limit if account is None else account.credit_limit
    change = LimitChange.objects.create(
        retailer=retailer,
        account=account,
        old_limit=old,
        new_limit=new_limit,
        reason=reason[:300],
        requested_by_id=actor.user_id,
        needs_second_person=_is_large_rise(old, new_limit),
        is_automatic=is_automatic,
    )
    if not (change.needs_second_person or waits):
        _apply(change, actor)
    return change


def decline(change: LimitChange, actor: Actor, reason: str) -> None:
    """Decline a pending change. The caller holds its retailer's lock or its own."""
    change.state = RequestState.DECLINED
    _decide(change, actor)
    audit.record(
        actor,
        "credit_limit.declined",
        entity_type="retailer",
        entity_id=change.retailer_id,
        reason=reason,
    )


@transaction.atomic
def decide_limit_change(
    *, change_id: int, approve: bool, actor: Actor, reason: str = ""
) -> LimitChange:
    """Approve or decline a pending change. Raises SecondPersonNeeded for the one who asked."""
    act(actor, reason)
    require_staff(actor)
    change = (
        LimitChange.objects.select_for_update(of=("self",), no_key=True)
        .filter(pk=change_id)
        .first()
    )
    if change is None:
        raise NotFound
    if change.state != RequestState.PENDING:
        raise Conflict("This change was decided already.")
    if change.needs_second_person and change.requested_by_id == actor.user_id:
        raise SecondPersonNeeded
    if approve:
        lock_retailer(change.retailer_id)
        _apply(change, actor)
        return change
    decline(change, actor, reason)
    return change


@transaction.atomic
def change_terms(*, account_id: int, payment_terms_days: int, actor: Actor) -> None:
    """Set how many days after delivery an account's orders are due (0-180)."""
    if not 0 <= payment_terms_days <= 180:
        raise Invalid(errors={"payment_terms_days": ["Terms are 0 to 180 days."]})
    act(actor)
    account = CreditAccount.objects.filter(pk=account_id).first()
    if account is None:
        raise NotFound
    require_tenant(actor, vendor_id=account.vendor_id)
    CreditAccount.objects.filter(pk=account_id).update(payment_terms_days=payment_terms_days)
    shown.credit_changed(account.retailer_id)


def _check_limit(new_limit: Decimal | None, reason: str, *, is_platform: bool) -> None:
    errors: dict[str, list[str]] = {}
    if new_limit is None:
        if is_platform:
            errors["new_limit"] = ["The platform's limit is an amount."]
    elif not 0 <= new_limit <= MAX_LIMIT:
        errors["new_limit"] = ["A limit is between 0 and 999,999,999.99."]
    if not reason.strip():
        errors["reason"] = ["A reason is needed."]
    if errors:
        raise Invalid(errors=errors)


def _account(retailer_id: int, vendor_id: int | None) -> CreditAccount | None:
    if vendor_id is None:
        return None
    account = CreditAccount.objects.filter(retailer_id=retailer_id, vendor_id=vendor_id).first()
    if account is None:
        raise NotFound("There is no account of this shop with this vendor yet.")
    return account


def _is_large_rise(old: Decimal | None, new: Decimal | None) -> bool:
    if new is None:
        return old is not None
    is_rise = old is not None and new > old
    return is_rise and new > settings.LIMIT_SECOND_PERSON_ABOVE


def _apply(change: LimitChange, actor: Actor) -> None:
    if change.account_id is None:
        Retailer.objects.filter(pk=change.retailer_id).update(credit_limit=change.new_limit)
    else:
        CreditAccount.objects.filter(pk=change.account_id).update(credit_limit=change.new_limit)
    change.state = RequestState.APPROVED
    _decide(change, actor)
    shown.credit_changed(change.retailer_id)
    events.publish(CreditLimitChanged(retailer_id=change.retailer_id, account_id=change.account_id))


def _decide(change: LimitChange, actor: Actor) -> None:
    change.decided_by_id = actor.user_id
    LimitChange.objects.filter(pk=change.pk).update(
        state=change.state, decided_by_id=actor.user_id, decided_at=Now()
    )
