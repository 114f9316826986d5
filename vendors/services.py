"""Verbs on vendors, offers and stock."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Now

from khaacho import audit, sql
from khaacho.actors import SYSTEM, Actor, act, require_staff, require_tenant
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Invalid, KhaachoError, NotFound
from khaacho.models import User
from vendors.catalogue import FIELDS, CatalogueRow
from vendors.exceptions import InsufficientStock, OfferExists, StockBelowReserved
from vendors.models import Product, Vendor, VendorProduct


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a shop or wholesaler is."""

    municipality: str
    district: str
    province: str
    address: str = ""


@dataclass(frozen=True)
class Shortage:
    """A line that stock cannot serve; quantities are packs."""

    offer_id: int
    product_id: int
    requested: int
    available: int


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


@transaction.atomic
def create_offer(
    *,
    vendor_id: int,
    product_id: int,
    vendor_price: Decimal,
    stock: int,
    actor: Actor,
    is_available: bool = True,
) -> VendorProduct:
    """Offer a product; a withdrawn offer comes back with the new figures. Raises OfferExists."""
    act(actor)
    require_tenant(actor, vendor_id=vendor_id)
    if not Product.objects.active().filter(pk=product_id).exists():
        raise Invalid(errors={"product_id": ["There is no such product."]})
    _check_offer(vendor_price=vendor_price, stock=stock)
    offer = (
        VendorProduct.objects.select_for_update(of=("self",), no_key=True)
        .filter(vendor_id=vendor_id, product_id=product_id)
        .first()
    )
    if offer is None:
        return VendorProduct.objects.create(
            vendor_id=vendor_id,
            product_id=product_id,
            vendor_price=vendor_price,
            stock=stock,
            is_available=is_available,
        )
    if offer.deleted_at is None:
        raise OfferExists
    return _write_offer(
        offer, vendor_price=vendor_price, stock=stock, is_available=is_available, deleted_at=None
    )


@transaction.atomic
def change_offer(
    *,
    offer_id: int,
    actor: Actor,
    vendor_price: Decimal | None = None,
    stock: int | None = None,
    stock_delta: int | None = None,
    is_available: bool | None = None,
) -> VendorProduct:
    """Change an offer's price (NPR), stock (packs on hand, or a race-free delta) or availability.

    Raises NotFound for another vendor's offer, StockBelowReserved.
    """
    act(actor)
    if stock is not None and stock_delta is not None:
        raise Invalid(errors={"stock_delta": ["Give either stock or stock_delta."]})
    offer = lock_offer(offer_id, actor)
    if stock_delta is not None:
        stock = offer.stock + stock_delta
    _check_offer(vendor_price=vendor_price, stock=stock)
    return _write_offer(offer, vendor_price=vendor_price, stock=stock, is_available=is_available)


@transaction.atomic
def withdraw_offer(*, offer_id: int, actor: Actor) -> None:
    """Take an offer off the catalogue; orders that hold its stock go on."""
    act(actor)
    offer = lock_offer(offer_id, actor)
    VendorProduct.objects.filter(pk=offer.pk).update(is_available=False, deleted_at=Now())


def lock_offer(offer_id: int, actor: Actor) -> VendorProduct:
    """Return a live offer of the actor's own (staff: anyone's), locked. Raises NotFound."""
    offers = VendorProduct.objects.filter(pk=offer_id, deleted_at=None)
    if not actor.is_staff:
        offers = offers.filter(vendor_id=actor.vendor_id or 0)
    offer = offers.select_for_update(of=("self",), no_key=True).first()
    if offer is None:
        raise NotFound
    return offer


def _check_offer(*, vendor_price: Decimal | None, stock: int | None) -> None:
    errors: dict[str, list[str]] = {}
    if vendor_price is not None and not 0 < vendor_price < Decimal(10**10):
        errors["vendor_price"] = ["A price is positive."]
    if stock is not None and not 0 <= stock < 2**31:
        errors["stock"] = ["Stock is not negative."]
    if errors:
        raise Invalid(errors=errors)


def _write_offer(
    offer: VendorProduct,
    *,
    vendor_price: Decimal | None,
    stock: int | None,
    is_available: bool | None,
    **fields: object,
) -> VendorProduct:
    if stock is not None and stock < offer.reserved:
        raise StockBelowReserved(
            f"{offer.reserved} packs are reserved by orders.", reserved=offer.reserved
        )
    given = {"vendor_price": vendor_price, "stock": stock, "is_available": is_available}
    fields |= {name: value for name, value in given.items() if value is not None}
    VendorProduct.objects.filter(pk=offer.pk).update(updated_at=Now(), **fields)
    offer.refresh_from_db()
    return offer


@dataclass(frozen=True, kw_only=True)
class OfferRow:
    """One row of a vendor's price list (NPR, packs); None leaves as it is."""

    product_id: int
    vendor_price: Decimal | None = None
    stock: int | None = None
    stock_delta: int | None = None
    is_available: bool | None = None


@dataclass(frozen=True)
class RowOutcome:
    """What became of a row: the offer as written, or the error that refused it."""

    offer: VendorProduct | None = None
    is_new: bool = False
    error: KhaachoError | None = None


@transaction.atomic
def import_offers(*, vendor_id: int, rows: Sequence[OfferRow], actor: Actor) -> list[RowOutcome]:
    """Create, change or bring back offers by product; a row that is refused stops no other.

    Locks the vendor, then its offers in id order. At most eight statements, however many rows.
    """
    act(actor)
    require_tenant(actor, vendor_id=vendor_id)
    lock_vendor(vendor_id)
    wanted = {row.product_id for row in rows}
    known = set(Product.objects.active().filter(pk__in=wanted).values_list("pk", flat=True))
    locked = VendorProduct.objects.select_for_update(of=("self",), no_key=True)
    offers = {
        offer.product_id: offer
        for offer in locked.filter(vendor_id=vendor_id, product_id__in=wanted).order_by("pk")
    }
    outcomes: list[RowOutcome] = []
    for row in rows:
        try:
            if row.product_id not in known:
                raise Invalid(
                    errors={"product_id": ["There is no such product, or it came before."]}
                )
            known.remove(row.product_id)
            offer = offers.get(row.product_id) or VendorProduct(
                vendor_id=vendor_id, product_id=row.product_id
            )
            outcomes.append(_read_row(row, offer))
        except KhaachoError as error:
            outcomes.append(RowOutcome(error=error))
    written = [outcome.offer for outcome in outcomes if outcome.offer is not None]
    VendorProduct.objects.bulk_create(
        [offer for offer in written if offer.product_id not in offers]
    )
    _write_rows([offer for offer in written if offer.product_id in offers])
    return outcomes


def _read_row(row: OfferRow, offer: VendorProduct) -> RowOutcome:
    """Put the row's figures on the offer, unsaved. Raises Invalid, StockBelowReserved."""
    is_new = offer._state.adding or offer.deleted_at is not None
    errors: dict[str, list[str]] = {}
    if is_new and row.vendor_price is None:
        errors["price"] = ["A new offer needs a price."]
    if is_new and row.stock_delta is not None:
        errors["stock_delta"] = ["A new offer needs stock instead."]
    if row.stock is not None and row.stock_delta is not None:
        errors["stock_delta"] = ["Give either stock or stock_delta."]
    if errors:
        raise Invalid(errors=errors)
    stock = _new_stock(row, offer, is_new=is_new)
    _check_offer(vendor_price=row.vendor_price, stock=stock)
    if stock < offer.reserved:
        raise StockBelowReserved(
            f"{offer.reserved} packs are reserved by orders.", reserved=offer.reserved
        )
    offer.stock = stock
    offer.vendor_price = row.vendor_price or offer.vendor_price
    if row.is_available is not None or is_new:
        offer.is_available = row.is_available is not False
    offer.deleted_at = None
    return RowOutcome(offer, is_new)


def _new_stock(row: OfferRow, offer: VendorProduct, *, is_new: bool) -> int:
    if row.stock is not None:
        return row.stock
    return offer.reserved if is_new else offer.stock + (row.stock_delta or 0)


def _write_rows(offers: Sequence[VendorProduct]) -> None:
    sql.execute(
        "UPDATE vendor_products o SET vendor_price = r.price, stock = r.stock,"
        " is_available = r.available, deleted_at = NULL, updated_at = now()"
        " FROM unnest(%s::bigint[], %s::numeric[], %s::int[], %s::bool[])"
        " AS r (id, price, stock, available) WHERE o.id = r.id",
        [
            [offer.pk for offer in offers],
            [offer.vendor_price for offer in offers],
            [offer.stock for offer in offers],
            [offer.is_available for offer in offers],
        ],
    )


@dataclass(frozen=True)
class StockChange:
    """A change of one offer's packs: promised to orders, and on hand."""

    reserved: int = 0
    on_hand: int = 0


def move_stock(changes: Mapping[int, StockChange]) -> None:
    """Apply all changes (offer id → change) or none; the rows are locked in id order.

    One statement; the caller's transaction must be rolled back when it raises InsufficientStock,
    whose `lines` are the shortages.
    """
    ids = sorted(changes)
    params = {
        "ids": ids,
        "reserved": [changes[i].reserved for i in ids],
        "on_hand": [changes[i].on_hand for i in ids],
    }
    moved = sql.execute(
        "WITH want AS (SELECT * FROM unnest(%(ids)s::bigint[], %(reserved)s::int[], %(on_hand)s::int[])"
        " AS w (id, reserved, on_hand)),"
        " locked AS (SELECT o.id FROM vendor_products o JOIN want USING (id)"
        " ORDER BY o.id FOR NO KEY UPDATE OF o)"
        " UPDATE vendor_products o SET reserved = o.reserved + w.reserved, stock = o.stock + w.on_hand"
        " FROM want w JOIN locked l USING (id)"
        " WHERE o.id = w.id AND o.reserved + w.reserved BETWEEN 0 AND o.stock + w.on_hand"
        " AND (w.reserved <= 0 OR (o.is_available AND o.deleted_at IS NULL))",
        params,
    )
    if moved != len(ids):
        raise InsufficientStock(lines=[vars(s) for s in _shortages(changes)])


def _shortages(changes: Mapping[int, StockChange]) -> list[Shortage]:
    offers = VendorProduct.objects.filter(pk__in=changes).order_by("pk")
    return [
        Shortage(offer.pk, offer.product_id, wanted, free)
        for offer in offers
        if (wanted := changes[offer.pk].reserved) > (free := _free(offer))
    ]


def _free(offer: VendorProduct) -> int:
    on_sale = offer.is_available and offer.deleted_at is None
    return offer.stock - offer.reserved if on_sale else 0


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


@dataclass(frozen=True)
class ImportCounts:
    created: int
    updated: int
    unchanged: int


IMPORT_BATCH = 2000


@transaction.atomic
def import_products(
    rows: Sequence[CatalogueRow],
    *,
    dry_run: bool = False,
    progress: Callable[[int, int], None] = lambda done, total: None,
    actor: Actor = SYSTEM,
) -> ImportCounts:
    """Create or update products by SKU; all in one transaction, a few statements per 2,000 rows.

    Rows that change nothing are not written. `progress` is called with rows done and in all.
    """
    act(actor)
    require_staff(actor)
    counts = {"created": 0, "updated": 0, "unchanged": 0}
    for start in range(0, len(rows), IMPORT_BATCH):
        batch = rows[start : start + IMPORT_BATCH]
        present = {
            values["sku"]: values
            for values in Product.objects.filter(sku__in=[row.sku for row in batch]).values(*FIELDS)
        }
        changed = [row for row in batch if present.get(row.sku) != vars(row)]
        new = sum(row.sku not in present for row in changed)
        counts["created"] += new
        counts["updated"] += len(changed) - new
        counts["unchanged"] += len(batch) - len(changed)
        if not dry_run:
            Product.objects.bulk_create(
                [Product(**vars(row), updated_at=Now()) for row in changed],
                update_conflicts=True,
                unique_fields=["sku"],
                update_fields=[*(name for name in FIELDS if name != "sku"), "updated_at"],
            )
        progress(min(start + IMPORT_BATCH, len(rows)), len(rows))
    return ImportCounts(**counts)
