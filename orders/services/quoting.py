"""What an order would be, without one."""

from dataclasses import dataclass

from django.conf import settings

from credit.exceptions import CreditLimitExceeded
from khaacho.actors import Actor, require_tenant
from khaacho.exceptions import NotFound, Refused
from orders import selectors
from orders.enums import PaymentTerms
from orders.selectors import Basket, Standing
from orders.services.baskets import find_basket, standing_refusals
from orders.services.requests import OrderRequest, check_request


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What an order would be now, with nothing stored. `refusals` are why it would not be taken."""

    basket: Basket | None
    standing: Standing
    refusals: tuple[Refused, ...]


def quote_order(request: OrderRequest, *, actor: Actor) -> Quote:
    """Return prices, availability and credit of an order as they are now. Stores and locks nothing."""
    check_request(request)
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
    refusals += standing_refusals(standing, on_credit=on_credit)
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


def _standing(request: OrderRequest, vendor_id: int | None) -> Standing:
    standing = selectors.standing(
        retailer_id=request.retailer_id,
        vendor_id=vendor_id,
        hold_days=settings.CREDIT_HOLD_DAYS_LATE,
    )
    if standing is None:
        raise NotFound("There is no such retailer.")
    return standing
