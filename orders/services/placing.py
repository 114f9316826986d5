"""Placing an order: prices, stock and credit are fixed in one transaction, or nothing is.

Eight statements, BEGIN and COMMIT included, however many lines; what others may wait for comes last:

1. BEGIN
2. the idempotency key, claimed by the API (khaacho/api/idempotency.py): a repeated request stops here
3. `selectors.prospect`: the actor is named and found active, and all that decides is read, unlocked
4. `credit.reserve`: retailer, then account, in one conditional statement. Before the order, which
   carries the exposure that was allowed and whose CHECK compares it; one shop's own rows are not hot
5. `_insert`: order, lines and jobs, rows that nobody else can want; the status log writes itself
6. `vendors.move_stock`: the offers, locked in id order and taken under a condition. These are the hot
   rows, so they are locked last and held for the answer and the commit alone
7. the answer under the key, by the API
8. COMMIT

Nothing that statement 3 read is believed: 4 and 6 look again at credit and stock under lock, and 5
writes the prices that the shop was told. An order by another way has no 2 and 7.
"""

from decimal import Decimal
from functools import partial

from django.conf import settings

from credit import services as credit
from credit.exceptions import CreditOnHold
from credit.models import CreditApproval
from khaacho import events, jobs, sql, transactions
from khaacho.actors import Actor, acting, require_active, require_tenant
from khaacho.exceptions import NotFound, Refused
from khaacho.transactions import verb
from orders import pages, selectors
from orders.enums import OrderSource, PaymentTerms
from orders.events import OrderPlaced
from orders.models import Order, OrderRefusal
from orders.selectors import Basket, Prospect
from orders.services.baskets import choose, standing_refusals
from orders.services.requests import OrderRequest, check_request
from vendors import services as vendors
from vendors.exceptions import InsufficientStock
from vendors.services import StockChange

ATTEMPTS = 3


def place_order(
    request: OrderRequest,
    *,
    actor: Actor,
    source: OrderSource = OrderSource.API,
    source_key: str | None = None,
    approval: CreditApproval | None = None,
) -> Order:
    """Place an order and return it with its page.

    Locks retailer, account, then offers in id order; the offers last, since they are the hottest.
    Raises Invalid for malformed requests, and the refusals of the trade, whose `after_rollback`
    stores them for the credit desk once the caller's transaction is rolled back. `approval` lets one
    order exceed the limits. `source_key` makes one order at most of one message.

    Without a vendor named it tries again with fresh figures when another order took the stock of the
    one chosen meanwhile; in a request's transaction the refusal `is_stale`, and the request does.
    """
    attempts = 1 if transactions.in_request() else ATTEMPTS
    while True:
        attempts -= 1
        try:
            return _place(request, actor, source, source_key, approval)
        except Refused as refusal:
            refusal.is_stale = request.vendor_id is None and isinstance(refusal, InsufficientStock)
            if not (refusal.is_stale and attempts):
                refusal.after_rollback = partial(_keep_refusal, request, refusal, actor)
                raise


@verb
def _place(
    request: OrderRequest,
    actor: Actor,
    source: OrderSource,
    source_key: str | None,
    approval: CreditApproval | None,
) -> Order:
    check_request(request)
    require_tenant(actor, retailer_id=request.retailer_id)
    prospect = _look(request, actor)
    basket = choose(request, prospect.baskets)
    _check_standing(request, basket, prospect, is_approved=approval is not None)
    exposure = _reserve_credit(request, basket, prospect, is_approved=approval is not None)
    order = _insert(
        request, basket, prospect.order_id, exposure, actor, source, source_key, approval
    )
    if approval is not None:
        credit.use_approval(approval_id=approval.pk, used_for=order.order_number)
    vendors.move_stock(
        {line.offer_id: StockChange(reserved=line.quantity) for line in basket.lines}
    )
    return order


def _look(request: OrderRequest, actor: Actor) -> Prospect:
    prospect = selectors.prospect(
        request.quantities(),
        retailer_id=request.retailer_id,
        vendor_id=request.vendor_id,
        hold_days=settings.CREDIT_HOLD_DAYS_LATE,
        acting=acting(actor),
    )
    require_active(prospect.is_active)
    return prospect


def _check_standing(
    request: OrderRequest, basket: Basket, prospect: Prospect, *, is_approved: bool
) -> None:
    standing = prospect.standing(basket.vendor_id)
    if standing is None:
        raise NotFound("There is no such retailer.")
    on_credit = request.payment_terms == PaymentTerms.CREDIT
    for refusal in standing_refusals(standing, on_credit=on_credit):
        if not (is_approved and isinstance(refusal, CreditOnHold)):
            raise refusal


def _reserve_credit(
    request: OrderRequest, basket: Basket, prospect: Prospect, *, is_approved: bool
) -> credit.Exposure | None:
    """Promise the total on the account, which comes into being with the pair's first order."""
    if request.payment_terms == PaymentTerms.CREDIT:
        return credit.reserve(
            retailer_id=request.retailer_id,
            vendor_id=basket.vendor_id,
            amount=basket.total,
            approved=is_approved,
        )
    if not prospect.has_account(basket.vendor_id):
        credit.open_account(retailer_id=request.retailer_id, vendor_id=basket.vendor_id)
    return None


INSERT = (
    "WITH o AS (INSERT INTO orders (id, retailer_id, vendor_id, vendor_named, payment_terms, subtotal,"
    " tax_amount, total, agreed_total, account_exposure, account_limit, platform_exposure,"
    " platform_limit, credit_approval_id, notes, source, source_key, placed_by_id)"
    " VALUES (%(id)s, %(retailer)s, %(vendor)s, %(named)s, %(terms)s, %(subtotal)s, %(tax)s, %(total)s,"
    " %(total)s, %(account_exposure)s, %(account_limit)s, %(platform_exposure)s,"
    " %(platform_limit)s, %(approval)s, %(notes)s, %(source)s, %(source_key)s, %(actor)s)"
    " RETURNING *),"
    " i AS (INSERT INTO order_items (order_id, offer_id, product_id, product_name, sku, quantity,"
    " unit_price, tax_rate, line_total, tax_amount)"
    " SELECT o.id, l.* FROM o, unnest(%(offers)s::bigint[], %(products)s::bigint[],"
    " %(names)s::text[], %(skus)s::text[], %(quantities)s::int[], %(prices)s::numeric[],"
    " %(rates)s::numeric[], %(nets)s::numeric[], %(taxes)s::numeric[]) AS l RETURNING *),"
    f" j AS ({jobs.INSERT_MANY}) "
    + pages.page("o", items="i", more="(SELECT array_agg(j.id) FROM j)")
)


def _insert(
    request: OrderRequest,
    basket: Basket,
    order_id: int,
    exposure: credit.Exposure | None,
    actor: Actor,
    source: OrderSource,
    source_key: str | None,
    approval: CreditApproval | None,
) -> Order:
    """Insert the order, its lines and the jobs that follow from it; return it with its page."""
    lines = basket.lines
    new = _following(order_id)
    row = sql.fetch_one(
        INSERT,
        {
            "id": order_id,
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
            **jobs.parameters(new),
        },
    )
    assert row is not None
    jobs.announce(new, row[-1])
    return pages.read(row)


def _following(order_id: int) -> list[jobs.NewJob]:
    """Return the jobs of a new order: its routing, and one for each subscriber of the fact."""
    routing = jobs.NewJob(
        "orders.route", {"order_id": order_id}, f"order:{order_id}", f"route:{order_id}"
    )
    return [routing, *events.jobs_of(OrderPlaced(order_id=order_id))]


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
