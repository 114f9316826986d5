"""A vendor's own offers: create, change, withdraw, and a whole price list at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.db import transaction
from django.db.models.functions import Now

from khaacho import sql
from khaacho.actors import Actor, act, require_tenant
from khaacho.exceptions import Invalid, KhaachoError, NotFound
from vendors import shown
from vendors.exceptions import OfferExists, StockBelowReserved
from vendors.models import Product, VendorProduct
from vendors.services.standing import lock_vendor


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
    shown.offers_changed(vendor_id, [product_id])
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
    shown.offers_changed(offer.vendor_id, [offer.product_id])
    return _write_offer(offer, vendor_price=vendor_price, stock=stock, is_available=is_available)


@transaction.atomic
def withdraw_offer(*, offer_id: int, actor: Actor) -> None:
    """Take an offer off the catalogue; orders that hold its stock go on."""
    act(actor)
    offer = lock_offer(offer_id, actor)
    VendorProduct.objects.filter(pk=offer.pk).update(is_available=False, deleted_at=Now())
    shown.offers_changed(offer.vendor_id, [offer.product_id])


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
    shown.offers_changed(vendor_id, (offer.product_id for offer in written))
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
