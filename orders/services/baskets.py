"""Which vendor serves a request, or why none does; and whether the shop may order at all."""

from collections.abc import Sequence
from decimal import Decimal

from credit.exceptions import AccountFrozen, CreditOnHold, RetailerBlocked, RetailerNotApproved
from khaacho.exceptions import Invalid, Refused
from orders import selectors
from orders.exceptions import NoVendorAvailable, ProductUnavailable, QuantityOutOfRange
from orders.selectors import Basket, Standing
from orders.services.requests import OrderRequest
from vendors.exceptions import InsufficientStock
from vendors.models import Vendor

MAX_TOTAL = Decimal("999999999999.99")  # numeric(14,2)


def find_basket(request: OrderRequest) -> Basket:
    """Return what `choose` takes of what is offered now. One statement."""
    return choose(request, selectors.baskets(request.quantities(), vendor_id=request.vendor_id))


def choose(request: OrderRequest, offered: Sequence[Basket]) -> Basket:
    """Return the lines at the named vendor, or at the cheapest vendor that can serve all of them.

    Raises Invalid for unknown products, QuantityOutOfRange, ProductUnavailable, InsufficientStock,
    NoVendorAvailable.
    """
    wanted = request.quantities()
    whole = [basket for basket in offered if len(basket.lines) == len(wanted)]
    if not whole:
        raise _nothing_whole(request, offered)
    _check_quantities(whole[0])
    able = [basket for basket in whole if basket.coverage >= 1]
    if not able:
        raise _short(request, whole)
    basket = min(able, key=lambda b: (b.total, b.vendor_id))
    if basket.total > MAX_TOTAL:
        raise Invalid(errors={"items": ["The total is out of range."]})
    return basket


def _nothing_whole(request: OrderRequest, offered: Sequence[Basket]) -> Refused | Invalid:
    wanted = request.quantities()
    if request.vendor_id is not None and not Vendor.objects.filter(pk=request.vendor_id).exists():
        return Invalid(errors={"vendor_id": ["There is no such vendor."]})
    if unknown := selectors.unknown_products(list(wanted)):
        return Invalid(errors={"items": [f"There is no product {p}." for p in sorted(unknown)]})
    if request.vendor_id is None:
        return NoVendorAvailable(requested=wanted)
    had = {line.product_id for basket in offered for line in basket.lines}
    missing = sorted(set(wanted) - had)
    return ProductUnavailable(product_ids=missing)


def _short(request: OrderRequest, whole: list[Basket]) -> Refused:
    if request.vendor_id is None:
        return NoVendorAvailable("No vendor has enough stock of every line.")
    lines = [
        {
            "product_id": line.product_id,
            "offer_id": line.offer_id,
            "requested": line.quantity,
            "available": max(line.available, 0),
        }
        for line in whole[0].lines
        if line.available < line.quantity
    ]
    return InsufficientStock(lines=lines)


def _check_quantities(basket: Basket) -> None:
    wrong = [
        {
            "product_id": line.product_id,
            "requested": line.quantity,
            "minimum": line.min_quantity,
            "maximum": line.max_quantity,
        }
        for line in basket.lines
        if not line.min_quantity <= line.quantity <= line.max_quantity
    ]
    if wrong:
        raise QuantityOutOfRange(lines=wrong)


def standing_refusals(standing: Standing, *, on_credit: bool) -> list[Refused]:
    """Return why this shop may not order, whatever it wants; nothing when it may."""
    refusals: list[Refused] = []
    if not standing.is_approved:
        refusals.append(RetailerNotApproved())
    if standing.is_blocked:
        refusals.append(RetailerBlocked(f"This shop is blocked: {standing.blocked_reason}"))
    if on_credit and standing.account_frozen:
        refusals.append(AccountFrozen())
    if on_credit and standing.has_late_due:
        refusals.append(CreditOnHold())
    return refusals
