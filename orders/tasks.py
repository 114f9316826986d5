"""Jobs of orders: each fetches and calls a verb."""

from decimal import Decimal

from django.conf import settings
from django.db.models.functions import Now

from khaacho import jobs, sql
from khaacho.actors import SYSTEM
from orders import services
from orders.enums import AcceptanceStatus, OrderStatus
from orders.models import Order, VendorOrderAcceptance
from vendors import services as vendors
from vendors.services import Statistics


def route(*, order_id: int) -> None:
    services.route_order(order_id=order_id)


def expire(*, acceptance_id: int) -> None:
    services.expire_acceptance(acceptance_id=acceptance_id)


def complete(*, order_id: int) -> None:
    """Complete an order that is still DELIVERED."""
    if Order.objects.filter(pk=order_id, status=OrderStatus.DELIVERED).exists():
        services.complete_order(order_id=order_id, actor=SYSTEM)


def find_expired() -> None:
    """Queue one job per acceptance past its deadline."""
    late = VendorOrderAcceptance.objects.filter(
        status=AcceptanceStatus.PENDING, deadline__lte=Now()
    )
    for pk, order_id in late.order_by("deadline").values_list("pk", "order_id")[:500]:
        jobs.enqueue(
            "orders.expire",
            {"acceptance_id": pk},
            reference=f"order:{order_id}",
            dedupe_key=f"expire:{pk}",
        )


def find_completable() -> None:
    """Queue one job per order delivered more than three days ago."""
    ripe = Order.objects.filter(
        status=OrderStatus.DELIVERED, delivered_at__lt=Now() - settings.AUTO_COMPLETE_AFTER
    )
    for pk in ripe.order_by("delivered_at").values_list("pk", flat=True)[:1000]:
        jobs.enqueue(
            "orders.complete",
            {"order_id": pk},
            reference=f"order:{pk}",
            dedupe_key=f"complete:{pk}",
        )


def mark_overdue(*, claim: jobs.Claim) -> None:
    """Mark the dues past their date; each batch commits by itself."""
    services.mark_overdue()


STATISTICS = (
    "SELECT (SELECT count(*) FROM vendor_order_acceptances WHERE vendor_id = %(v)s"
    " AND status IN ('ACCEPTED', 'REJECTED', 'EXPIRED')),"
    " count(*) FILTER (WHERE accepted_at IS NOT NULL),"
    " count(*) FILTER (WHERE delivered_at IS NOT NULL),"
    " count(*) FILTER (WHERE accepted_at IS NOT NULL AND cancelled_at IS NOT NULL),"
    " round((avg(extract(epoch FROM delivered_at - accepted_at)) / 3600)::numeric, 2)"
    " FROM orders WHERE vendor_id = %(v)s AND created_at > now() - interval '1 year'"
)


def refresh_statistics(*, vendor_id: int) -> None:
    """Recompute one vendor's figures from its orders of the last year.

    Rating = 5 x (40 % acceptance + 40 % delivery + 20 % non-cancellation), 0 without history.
    """
    row = sql.fetch_one(STATISTICS, {"v": vendor_id})
    assert row is not None
    offered, accepted, delivered, cancelled, hours = row
    rating = 0.0
    if offered and accepted:
        rating = 5 * (
            0.4 * min(accepted / offered, 1)
            + 0.4 * delivered / accepted
            + 0.2 * (1 - cancelled / accepted)
        )
    vendors.record_statistics(
        vendor_id,
        Statistics(
            offered=offered,
            accepted=min(accepted, offered),
            delivered=delivered,
            cancelled=cancelled,
            fulfilment_hours=hours,
            rating=Decimal(str(round(rating, 2))),
        ),
    )
