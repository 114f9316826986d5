"""Placing an order: prices, stock and credit are fixed in one transaction, or nothing is."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from credit import services as credit
from credit import shown as credit_shown
from credit.exceptions import (
    AccountFrozen,
    CreditLimitExceeded,
    CreditOnHold,
    RetailerBlocked,
    RetailerNotApproved,
)
from credit.models import CreditApproval
from khaacho import events, jobs, sql
from khaacho.actors import Actor, act, require_tenant
from khaacho.exceptions import Invalid, NotFound, Refused
from orders import selectors
from orders.enums import OrderSource, PaymentTerms
from orders.events import OrderPlaced
from orders.exceptions import NoVendorAvailable, ProductUnavailable, QuantityOutOfRange
from orders.models import Order, OrderRefusal
from orders.selectors import Basket, Standing
from vendors import services as vendors
from vendors.exceptions import InsufficientStock
from vendors.models import Vendor
from vendors.services import StockChange

MAX_LINES = 200
MAX_TOTAL = Decimal("999999999999.99")  # numeric(14,2)


@dataclass(frozen=True)
class Line:
    """A wanted product and how many packs of it."""

    product_id: int
    quantity: int


@dataclass(frozen=True, kw_only=True)
class OrderRequest:
    """What a retailer asks for. Without `vendor_id` the cheapest that can serve every line is taken."""

    retailer_id: int
    lines: tuple[Line, ...]
    vendor_id: int | None = None
    payment_terms: PaymentTerms = PaymentTerms.CREDIT
    notes: str = ""

    def quantities(self) -> dict[int, int]:
        """Packs per product; a product named twice is wanted twice."""
        packs: dict[int, int] = {}
        for line in self.lines:
            packs[line.product_id] = packs.get(line.product_id, 0) + line.quantity
        return packs

    def as_json(self) -> dict[str, Any]:
        return {
            "retailer_id": self.retailer_id,
            "vendor_id": self.vendor_id,
            "payment_terms": str(self.payment_terms),
            "notes": self.notes,
            "items": [vars(line) for line in self.lines],
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "OrderRequest":
        return cls(
            retailer_id=value["retailer_id"],
            vendor_id=value["vendor_id"],
            payment_terms=PaymentTerms(value["payment_terms"]),
            notes=value["notes"],
            lines=tuple(Line(**line) for line in value["items"]),
        )


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What an order would be now, with nothing stored. `refusals` are why it would not be taken."""

    basket: Basket | None
    standing: Standing
    refusals: tuple[Refused, ...]


def place_order(
    request: OrderRequest,
    *,
    actor: Actor,
    source: OrderSource = OrderSource.API,
    source_key: str | None = None,
    approval: CreditApproval | None = None,
) -> Order:
    """Place an order and return it.

    Locks retailer, account, then offers in id order; the offers last, since they are the hottest.
    Raises Invalid for malformed requests, and the refusals of the trade, whose `after_rollback`
    stores them for the credit desk once the caller's transaction is rolled back. `approval` lets one
    order exceed the limits. `source_key` makes one order at most of one message.
    """
    try:
        return _place_somewhere(request, actor, source, source_key, approval)
    except Refused as refusal:
        refusal.after_rollback = partial(_keep_refusal, request, refusal, actor)
        raise


def _place_somewhere(
    request: OrderRequest,
    actor: Actor,
    source: OrderSource,
    source_key: str | None,
    approval: CreditApproval | None,
) -> Order:
    """Try again with fresh figures when another order took the chosen vendor's stock meanwhile."""
    attempts = 1 if request.vendor_id is not None else 3
    while True:
        attempts -= 1
        try:
            with transaction.atomic():
                return _place(request, actor, source, source_key, approval)
        except InsufficientStock:
            if attempts == 0:
                raise


def _place(
    request: OrderRequest,
    actor: Actor,
    source: OrderSource,
    source_key: str | None,
    approval: CreditApproval | None,
) -> Order:
    _check_request(request)
    act(actor)
    require_tenant(actor, retailer_id=request.retailer_id)
    basket = find_basket(request)
    on_credit = request.payment_terms == PaymentTerms.CREDIT
    standing = _standing(request, basket.vendor_id)
    for refusal in _standing_refusals(standing, on_credit=on_credit):
        if approval is None or not isinstance(refusal, CreditOnHold):
            raise refusal
    if standing.account_id is None:
        credit.open_account(retailer_id=request.retailer_id, vendor_id=basket.vendor_id)
    exposure = (
        credit.reserve(
            retailer_id=request.retailer_id,
            vendor_id=basket.vendor_id,
            amount=basket.total,
            approved=approval is not None,
        )
        if on_credit
        else None
    )
    order_id, number = _insert(request, basket, exposure, actor, source, source_key, approval)
    if approval is not None:
        credit.use_approval(approval_id=approval.pk, used_for=number)
    vendors.move_stock(
        {line.offer_id: StockChange(reserved=line.quantity) for line in basket.lines}
    )
    jobs.enqueue(
        "orders.route",
        {"order_id": order_id},
        reference=f"order:{order_id}",
        dedupe_key=f"route:{order_id}",
    )
    events.publish(OrderPlaced(order_id=order_id))
    credit_shown.credit_changed(request.retailer_id)
    return Order.objects.get(pk=order_id)


def _check_request(request: OrderRequest) -> None:
    if not request.lines:
        raise Invalid(errors={"items": ["An order has at least one item."]})
    if len(request.lines) > MAX_LINES:
        raise Invalid(errors={"items": [f"An order has at most {MAX_LINES} items."]})
    if any(line.quantity < 1 for line in request.lines):
        raise Invalid(errors={"items": ["Quantities are at least 1."]})
    unknown = [p for p in request.quantities() if not 0 < p < 2**63]
    if unknown or any(q >= 2**31 for q in request.quantities().values()):
        raise Invalid(errors={"items": ["A number is out of range."]})


def find_basket(request: OrderRequest) -> Basket:
    """Return the lines at the named vendor, or at the cheapest vendor that can serve all of them.

    Raises Invalid for unknown products, QuantityOutOfRange, ProductUnavailable, InsufficientStock,
    NoVendorAvailable.
    """
    wanted = request.quantities()
    offered = selectors.baskets(wanted, vendor_id=request.vendor_id)
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


def _nothing_whole(request: OrderRequest, offered: Iterable[Basket]) -> Refused | Invalid:
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


def _standing(request: OrderRequest, vendor_id: int | None) -> Standing:
    standing = selectors.standing(
        retailer_id=request.retailer_id,
        vendor_id=vendor_id,
        hold_days=settings.CREDIT_HOLD_DAYS_LATE,
    )
    if standing is None:
        raise NotFound("There is no such retailer.")
    return standing


def _standing_refusals(standing: Standing, *, on_credit: bool) -> list[Refused]:
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


def quote_order(request: OrderRequest, *, actor: Actor) -> Quote:
    """Return prices, availability and credit of an order as they are now. Stores and locks nothing."""
    _check_request(request)
    require_tenant(actor, retailer_id=request.retailer_id)
    refusals: list[Refused] = []
    basket = None
    try:
        basket = find_basket(request)
    except Refused as refusal:
        refusals.append(refusal)
        basket = _best_effort(request)
    standing = _standing(request, basket.vendor_id if basket else None)
    on_credit = request.payment_terms == PaymentTerms.CREDIT
    refusals += _standing_refusals(standing, on_credit=on_credit)
    if basket is not None and on_credit and basket.total > standing.available:
        shortfall = basket.total - standing.available
        refusals.append(
            CreditLimitExceeded(
                available=standing.available, required=basket.total, shortfall=shortfall
            )
        )
    return Quote(basket=basket, standing=standing, refusals=tuple(refusals))


def _best_effort(request: OrderRequest) -> Basket | None:
    """The fullest, then cheapest basket, to show what is short."""
    offered = selectors.baskets(request.quantities(), vendor_id=request.vendor_id)
    return min(offered, key=lambda b: (-len(b.lines), b.total), default=None)


def _insert(
    request: OrderRequest,
    basket: Basket,
    exposure: credit.Exposure | None,
    actor: Actor,
    source: OrderSource,
    source_key: str | None,
    approval: CreditApproval | None,
) -> tuple[int, str]:
    """Insert the order and its lines in one statement; return its id and number."""
    lines = basket.lines
    row = sql.fetch_one(
        "WITH o AS (INSERT INTO orders (retailer_id, vendor_id, vendor_named, payment_terms, subtotal,"
        " tax_amount, total, agreed_total, account_exposure, account_limit, platform_exposure,"
        " platform_limit, credit_approval_id, notes, source, source_key, placed_by_id)"
        " VALUES (%(retailer)s, %(vendor)s, %(named)s, %(terms)s, %(subtotal)s, %(tax)s, %(total)s,"
        " %(total)s, %(account_exposure)s, %(account_limit)s, %(platform_exposure)s,"
        " %(platform_limit)s, %(approval)s, %(notes)s, %(source)s, %(source_key)s, %(actor)s)"
        " RETURNING id, order_number),"
        " i AS (INSERT INTO order_items (order_id, offer_id, product_id, product_name, sku, quantity,"
        " unit_price, tax_rate, line_total, tax_amount)"
        " SELECT o.id, l.* FROM o, unnest(%(offers)s::bigint[], %(products)s::bigint[],"
        " %(names)s::text[], %(skus)s::text[], %(quantities)s::int[], %(prices)s::numeric[],"
        " %(rates)s::numeric[], %(nets)s::numeric[], %(taxes)s::numeric[]) AS l)"
        " SELECT id, order_number FROM o",
        {
            "retailer": request.retailer_id,
            "vendor": basket.vendor_id,
            "named": request.vendor_id is not None,
            "terms": request.payment_terms,
            "subtotal": basket.subtotal,
            "tax": basket.tax_amount,
            "total": basket.total,
            "account_exposure": exposure and exposure.account_exposure,
            "account_limit": exposure and exposure.account_limit,
            "platform_exposure": exposure and exposure.platform_exposure,
            "platform_limit": exposure and exposure.platform_limit,
            "approval": approval and approval.pk,
            "notes": request.notes[:500],
            "source": source,
            "source_key": source_key,
            "actor": actor.user_id,
            "offers": [line.offer_id for line in lines],
            "products": [line.product_id for line in lines],
            "names": [line.product_name for line in lines],
            "skus": [line.sku for line in lines],
            "quantities": [line.quantity for line in lines],
            "prices": [line.unit_price for line in lines],
            "rates": [line.tax_rate for line in lines],
            "nets": [line.amounts.net for line in lines],
            "taxes": [line.amounts.tax for line in lines],
        },
    )
    assert row is not None
    return row[0], row[1]


def _keep_refusal(request: OrderRequest, refusal: Refused, actor: Actor) -> None:
    """Store a refused order with its numbers, outside the transaction that was rolled back."""
    extra = refusal.extra
    OrderRefusal.objects.create(
        retailer_id=request.retailer_id,
        vendor_id=request.vendor_id,
        code=refusal.code,
        message=refusal.message[:500],
        requested=_amount(extra.get("required")),
        available=_amount(extra.get("available")),
        shortfall=_amount(extra.get("shortfall")),
        details={k: v if isinstance(v, list | dict) else str(v) for k, v in extra.items()},
        request=request.as_json(),
        placed_by_id=actor.user_id,
    )


def _amount(value: object) -> Decimal | None:
    return value if isinstance(value, Decimal) else None
