"""Facts that orders hear, some of them its own."""

from khaacho import jobs
from orders.events import OrderEvent
from orders.models import Order


def order_closed(event: OrderEvent) -> None:
    """A completed or cancelled order changes its vendor's statistics; many at once cost one refresh."""
    vendor_id = Order.objects.values_list("vendor_id", flat=True).get(pk=event.order_id)
    jobs.enqueue(
        "orders.refresh_statistics",
        {"vendor_id": vendor_id},
        reference=f"vendor:{vendor_id}",
        dedupe_key=f"statistics:{vendor_id}",
    )
