"""Registration and standing of wholesalers, and the figures derived from their orders."""

from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Now

from khaacho import audit
from khaacho.actors import Actor, act, require_staff
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Invalid, NotFound
from khaacho.models import User
from vendors import shown
from vendors.models import Vendor


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a shop or wholesaler is."""

    municipality: str
    district: str
    province: str
    address: str = ""


@transaction.atomic
def register_vendor(
    *, phone: str, name: str, password: str | None, business_name: str, place: Place, actor: Actor
) -> Vendor:
    """Create a vendor and its user, unapproved. Raises Conflict when the phone is taken."""
    act(actor)
    require_staff(actor)
    if User.objects.filter(phone=phone).exists():
        raise Conflict("This phone number is registered already.")
    user = User.objects.create_user(phone, password, name=name, role=Role.VENDOR)
    return Vendor.objects.create(
        user=user,
        business_name=business_name,
        address=place.address,
        municipality=place.municipality,
        district=place.district,
        province=place.province,
    )


@transaction.atomic
def approve_vendor(*, vendor_id: int, actor: Actor) -> Vendor:
    """Let a vendor be offered orders. Raises Conflict when it is approved already."""
    act(actor)
    require_staff(actor)
    vendor = lock_vendor(vendor_id)
    if vendor.is_approved:
        raise Conflict(f"{vendor.code} is approved already.")
    Vendor.objects.filter(pk=vendor_id).update(is_approved=True, approved_at=Now())
    audit.record(actor, "vendor.approved", entity_type="vendor", entity_id=vendor_id)
    shown.vendors_changed()
    vendor.refresh_from_db()
    return vendor


@transaction.atomic
def block_vendor(*, vendor_id: int, reason: str, actor: Actor) -> Vendor:
    """Offer a vendor no further orders; running ones go on. Needs a reason."""
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    act(actor, reason)
    require_staff(actor)
    vendor = lock_vendor(vendor_id)
    if vendor.is_blocked:
        raise Conflict(f"{vendor.code} is blocked already.")
    Vendor.objects.filter(pk=vendor_id).update(is_blocked=True, blocked_reason=reason[:300])
    audit.record(
        actor, "vendor.blocked", entity_type="vendor", entity_id=vendor_id, reason=reason[:500]
    )
    shown.vendors_changed()
    vendor.refresh_from_db()
    return vendor


@transaction.atomic
def unblock_vendor(*, vendor_id: int, actor: Actor) -> Vendor:
    act(actor)
    require_staff(actor)
    vendor = lock_vendor(vendor_id)
    if not vendor.is_blocked:
        raise Conflict(f"{vendor.code} is not blocked.")
    Vendor.objects.filter(pk=vendor_id).update(is_blocked=False, blocked_reason="")
    audit.record(actor, "vendor.unblocked", entity_type="vendor", entity_id=vendor_id)
    shown.vendors_changed()
    vendor.refresh_from_db()
    return vendor


def lock_vendor(vendor_id: int) -> Vendor:
    """Return the vendor's row, locked. Raises NotFound."""
    vendor = (
        Vendor.objects.select_for_update(of=("self",), no_key=True).filter(pk=vendor_id).first()
    )
    if vendor is None:
        raise NotFound
    return vendor


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What a vendor's orders say of it: counts, mean hours from acceptance to delivery, rating 0-5."""

    offered: int
    accepted: int
    delivered: int
    cancelled: int
    fulfilment_hours: Decimal | None
    rating: Decimal


def record_statistics(vendor_id: int, figures: Statistics) -> None:
    """Store a vendor's derived figures. They are recomputed by a job, never incremented by orders."""
    Vendor.objects.filter(pk=vendor_id).update(
        orders_offered=figures.offered,
        orders_accepted=figures.accepted,
        orders_delivered=figures.delivered,
        orders_cancelled=figures.cancelled,
        fulfilment_hours=figures.fulfilment_hours,
        rating=figures.rating,
        statistics_at=Now(),
    )
    shown.ratings_changed()
