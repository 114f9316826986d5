"""Registration and standing of shops."""

from collections.abc import Iterable
from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from credit import shown
from credit.events import RetailerApproved, RetailerBlocked
from credit.exceptions import SecondPersonNeeded
from credit.models import Retailer
from khaacho import audit, events
from khaacho.actors import SYSTEM, Actor, act, require_staff
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Invalid, NotFound
from khaacho.models import User
from vendors.services import Place


@transaction.atomic
def register_retailer(
    *,
    phone: str,
    name: str,
    password: str | None,
    shop_name: str,
    place: Place,
    pan_number: str = "",
    actor: Actor = SYSTEM,
) -> Retailer:
    """Create a shop and its user, unapproved and without credit. Raises Conflict for a taken phone."""
    act(actor)
    if User.objects.filter(phone=phone).exists():
        raise Conflict("This phone number is registered already.")
    user = User.objects.create_user(phone, password, name=name, role=Role.RETAILER)
    return Retailer.objects.create(
        user=user,
        shop_name=shop_name,
        pan_number=pan_number,
        address=place.address,
        municipality=place.municipality,
        district=place.district,
        province=place.province,
    )


@transaction.atomic
def approve_retailer(
    *, retailer_id: int, actor: Actor, credit_limit: Decimal | None = None
) -> Retailer:
    """Let a shop order, on credit up to `credit_limit` NPR when one is given; else cash only.

    Raises SecondPersonNeeded for a limit that change_limit() would not grant at once, Conflict.
    """
    act(actor)
    require_staff(actor)
    if credit_limit is not None and credit_limit > settings.LIMIT_SECOND_PERSON_ABOVE:
        raise SecondPersonNeeded("Approve the shop first, then ask for this limit.")
    retailer = lock_retailer(retailer_id)
    if retailer.is_approved:
        raise Conflict(f"{retailer.code} is approved already.")
    limit = retailer.credit_limit if credit_limit is None else credit_limit
    Retailer.objects.filter(pk=retailer_id).update(
        is_approved=True, approved_at=Now(), credit_limit=limit
    )
    audit.record(actor, "retailer.approved", entity_type="retailer", entity_id=retailer_id)
    shown.credit_changed(retailer_id)
    events.publish(RetailerApproved(retailer_id=retailer_id))
    retailer.refresh_from_db()
    return retailer


@transaction.atomic
def block_retailer(*, retailer_id: int, reason: str, actor: Actor) -> Retailer:
    """Stop a shop from ordering; it can still sign in, read and pay. Needs a reason."""
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    require_staff(actor)
    retailer = lock_retailer(retailer_id)
    if retailer.is_blocked:
        raise Conflict(f"{retailer.code} is blocked already.")
    Retailer.objects.filter(pk=retailer_id).update(is_blocked=True, blocked_reason=reason[:300])
    audit.record(
        actor,
        "retailer.blocked",
        entity_type="retailer",
        entity_id=retailer_id,
        reason=reason[:500],
    )
    events.publish(RetailerBlocked(retailer_id=retailer_id))
    retailer.refresh_from_db()
    return retailer


@transaction.atomic
def unblock_retailer(*, retailer_id: int, actor: Actor) -> Retailer:
    act(actor)
    require_staff(actor)
    retailer = lock_retailer(retailer_id)
    if not retailer.is_blocked:
        raise Conflict(f"{retailer.code} is not blocked.")
    Retailer.objects.filter(pk=retailer_id).update(is_blocked=False, blocked_reason="")
    audit.record(actor, "retailer.unblocked", entity_type="retailer", entity_id=retailer_id)
    retailer.refresh_from_db()
    return retailer


def lock_retailer(retailer_id: int) -> Retailer:
    """Return the retailer's row, locked. Raises NotFound."""
    retailer = (
        Retailer.objects.select_for_update(of=("self",), no_key=True).filter(pk=retailer_id).first()
    )
    if retailer is None:
        raise NotFound
    return retailer


def lock_retailers(retailer_ids: Iterable[int]) -> list[int]:
    """Lock the retailers' rows in id order; return the ids of those that exist."""
    rows = Retailer.objects.select_for_update(of=("self",), no_key=True)
    return list(rows.filter(pk__in=list(retailer_ids)).order_by("pk").values_list("pk", flat=True))
