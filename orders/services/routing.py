"""Asking vendors: one open question per order, each vendor at most once, the first answer wins."""

from decimal import Decimal

from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Now

from credit import services as credit
from credit.exceptions import AccountFrozen, CreditLimitExceeded
from khaacho import events, sql
from khaacho.actors import SYSTEM, Actor, act, require_tenant
from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from khaacho.exceptions import Conflict, Invalid
from khaacho.transactions import verb
from orders import selectors
from orders.enums import AcceptanceStatus, OrderStatus, PaymentTerms
from orders.events import OrderAccepted, OrderOffered, OrderUnroutable
from orders.models import Order, OrderItem, VendorOrderAcceptance
from orders.routing import Destination, Scored, rank
from orders.selectors import Basket
from orders.services.transitions import check_edge, lock_order, move
from vendors import services as vendors
from vendors.exceptions import InsufficientStock, VendorNotApproved
from vendors.services import StockChange


@verb
def route_order(*, order_id: int) -> Order:
    """Ask a vendor to take a PLACED order: the named one, else the best-scored candidate.

    An order that is past PLACED is left alone, so that running twice asks once.
    """
    order = lock_order(order_id, actor=SYSTEM)
    if order.status != OrderStatus.PLACED:
        return order
    return _ask_next(order)


@verb
def accept_order(*, order_id: int, actor: Actor) -> Order:
    """The asked vendor (or staff for it) takes the order.

    Raises NotFound, IllegalTransition, VendorNotApproved for one that may not trade (any more).
    """
    order = lock_order(order_id, actor=actor)
    require_tenant(actor, vendor_id=order.vendor_id)
    check_edge(order, OrderStatus.ACCEPTED)
    if not _answer(order, AcceptanceStatus.ACCEPTED, actor):
        raise VendorNotApproved
    return move(order, OrderStatus.ACCEPTED, OrderAccepted(order_id=order.pk))


@verb
def reject_order(*, order_id: int, reason: str, actor: Actor) -> Order:
    """The asked vendor declines; the next candidate is asked, or the order waits with an alert."""
    if not reason.strip():
        raise Invalid(errors={"reason": ["A reason is needed."]})
    order = lock_order(order_id, actor=actor, reason=reason)
    require_tenant(actor, vendor_id=order.vendor_id)
    check_edge(order, OrderStatus.ACCEPTED)
    _answer(order, AcceptanceStatus.REJECTED, actor, reason)
    return _ask_next(order)


@verb
def expire_acceptance(*, acceptance_id: int) -> Order | None:
    """Give up on a vendor that has not answered by its deadline and ask the next. Idempotent."""
    question = VendorOrderAcceptance.objects.filter(pk=acceptance_id).first()
    if question is None:
        return None
    order = lock_order(question.order_id, actor=SYSTEM, reason="no answer by the deadline")
    expired = VendorOrderAcceptance.objects.filter(
        pk=acceptance_id, status=AcceptanceStatus.PENDING, deadline__lte=Now()
    ).exists()
    if not expired:
        return None
    _answer(order, AcceptanceStatus.EXPIRED, SYSTEM, "no answer by the deadline")
    return _ask_next(order)


@verb
def reroute_order(*, order_id: int, actor: Actor) -> Order:
    """Staff have a PLACED order routed now, after an alert said that nobody could be asked."""
    act(actor)
    order = lock_order(order_id, actor=actor)
    check_edge(order, OrderStatus.PENDING)
    return _ask_next(order)


ANSWER = (
    "WITH answer AS (UPDATE vendor_order_acceptances SET status = %(answer)s,"
    " answered_at = statement_timestamp(), answered_by_id = %(actor)s, reason = %(reason)s"
    " WHERE order_id = %(order)s AND vendor_id = %(vendor)s AND status = 'PENDING' RETURNING id)"
    " SELECT (SELECT count(*) FROM answer), v.is_approved AND NOT v.is_blocked AND v.deleted_at IS NULL"
    " FROM vendors v WHERE v.id = %(vendor)s"
)


def _answer(order: Order, answer: AcceptanceStatus, actor: Actor, reason: str = "") -> bool:
    """Store the answer; return whether the vendor may trade. Raises Conflict when nobody asked."""
    row = sql.fetch_one(
        ANSWER,
        {
            "answer": answer.value,
            "actor": actor.user_id,
            "reason": reason[:300],
            "order": order.pk,
            "vendor": order.vendor_id,
        },
    )
    assert row is not None
    answered, may_trade = row
    if not answered:
        raise Conflict("This order waits for no answer.")
    return bool(may_trade)


def _ask_next(order: Order) -> Order:
    """Ask the best candidate not asked before; the order's vendor, prices, stock and credit follow."""
    asked = VendorOrderAcceptance.objects.filter(order=order).count()
    ranking = _ranking(order) if asked < settings.MAX_VENDORS_ASKED else []
    choices = ranking
    if asked == 0 and order.vendor_named:
        choices = [s for s in ranking if s.vendor_id == order.vendor_id] or ranking
    for choice in choices:
        if choice.vendor_id == order.vendor_id or _hand_over(order, choice.vendor_id):
            return _ask(order, choice, ranking)
    return _give_up(order)


def _ranking(order: Order) -> list[Scored]:
    shop = order.retailer
    destination = Destination(
        municipality=shop.municipality, district=shop.district, province=shop.province
    )
    return rank(selectors.candidates(order.pk), destination, settings.ROUTING_WEIGHTS)


def _ask(order: Order, choice: Scored, ranking: list[Scored]) -> Order:
    question = VendorOrderAcceptance.objects.create(
        order=order,
        vendor_id=choice.vendor_id,
        deadline=Now() + settings.ACCEPTANCE_DEADLINE,
        score=Decimal(str(choice.score)),
        candidates=[scored.as_json() for scored in ranking],
    )
    offered = OrderOffered(order_id=order.pk, acceptance_id=question.pk)
    if order.status == OrderStatus.PLACED:
        return move(order, OrderStatus.PENDING, offered)
    events.publish(offered)
    return order


def _give_up(order: Order) -> Order:
    """Nobody is left: the order waits in PLACED for staff, with its stock and credit still reserved."""
    if order.status == OrderStatus.PENDING:
        move(order, OrderStatus.PLACED)
    raise_alert(
        "order.unroutable",
        f"No vendor is left to ask for order {order.order_number}.",
        severity=Severity.WARNING,
        entity_type="order",
        entity_id=order.pk,
    )
    events.publish(OrderUnroutable(order_id=order.pk))
    return order


def _hand_over(order: Order, vendor_id: int) -> bool:
    """Move the order to another vendor, never to a higher total; False when that no longer works."""
    try:
        with transaction.atomic():
            return _hand_over_now(order, vendor_id)
    except (InsufficientStock, CreditLimitExceeded, AccountFrozen):
        return False


def _hand_over_now(order: Order, vendor_id: int) -> bool:
    items = list(OrderItem.objects.filter(order=order))
    wanted = {item.product_id: item.quantity for item in items}
    basket = next(iter(selectors.baskets(wanted, vendor_id=vendor_id)), None)
    if basket is None or len(basket.lines) != len(wanted) or basket.total > order.agreed_total:
        return False
    exposure = _move_credit(order, basket)
    changes = {item.offer_id: StockChange(reserved=-item.quantity) for item in items}
    changes |= {line.offer_id: StockChange(reserved=line.quantity) for line in basket.lines}
    _reprice(order, basket)
    Order.objects.filter(pk=order.pk).update(
        vendor_id=vendor_id,
        subtotal=basket.subtotal,
        tax_amount=basket.tax_amount,
        total=basket.total,
        credit_approval=None if exposure else F("credit_approval"),
        **exposure,
    )
    vendors.move_stock(changes)
    order.refresh_from_db()
    return True


def _move_credit(order: Order, basket: Basket) -> dict[str, Decimal | None]:
    """Release the promise to the old vendor and make the new one; the retailer's row stays locked."""
    if order.payment_terms == PaymentTerms.CASH:
        return {}
    credit.release(retailer_id=order.retailer_id, vendor_id=order.vendor_id, amount=order.total)
    exposure = credit.reserve(
        retailer_id=order.retailer_id, vendor_id=basket.vendor_id, amount=basket.total
    )
    return {
        "account_exposure": exposure.account_exposure,
        "account_limit": exposure.account_limit,
        "platform_exposure": exposure.platform_exposure,
        "platform_limit": exposure.platform_limit,
    }


def _reprice(order: Order, basket: Basket) -> None:
    lines = basket.lines
    sql.execute(
        "UPDATE order_items i SET offer_id = l.offer_id, unit_price = l.price, tax_rate = l.rate,"
        " line_total = l.net, tax_amount = l.tax"
        " FROM unnest(%(products)s::bigint[], %(offers)s::bigint[], %(prices)s::numeric[],"
        " %(rates)s::numeric[], %(nets)s::numeric[], %(taxes)s::numeric[])"
        " AS l (product_id, offer_id, price, rate, net, tax)"
        " WHERE i.order_id = %(order)s AND i.product_id = l.product_id",
        {
            "order": order.pk,
            "products": [line.product_id for line in lines],
            "offers": [line.offer_id for line in lines],
            "prices": [line.unit_price for line in lines],
            "rates": [line.tax_rate for line in lines],
            "nets": [line.amounts.net for line in lines],
            "taxes": [line.amounts.tax for line in lines],
        },
    )
