"""Facts that payments hear."""

from credit.events import ScoringAsked
from khaacho import jobs
from orders.events import DuesOverdue, OrderDelivered, OrderEvent
from orders.models import Order
from payments import scores, services
from payments.events import PaymentRecorded, PaymentReversed
from payments.models import Payment


def order_delivered(event: OrderDelivered) -> None:
    """An advance pays the next invoice; the score sees both."""
    order = Order.objects.get(pk=event.order_id)
    services.apply_advances(retailer_id=order.retailer_id, vendor_id=order.vendor_id)
    _rescore(order.retailer_id)


def payment_reversed(event: PaymentReversed) -> None:
    """What a reversed payment had paid may be paid by another advance; the score sees both."""
    payment = Payment.objects.get(pk=event.payment_id)
    services.apply_advances(retailer_id=payment.retailer_id, vendor_id=payment.vendor_id)
    _rescore(payment.retailer_id)


def payment_recorded(event: PaymentRecorded) -> None:
    """A payment changes its shop's score."""
    _rescore(Payment.objects.values_list("retailer_id", flat=True).get(pk=event.payment_id))


def order_closed(event: OrderEvent) -> None:
    """A completed or cancelled order changes its shop's score."""
    _rescore(Order.objects.values_list("retailer_id", flat=True).get(pk=event.order_id))


def dues_overdue(event: DuesOverdue) -> None:
    """Dues that have passed their date change their shop's score."""
    _rescore(event.retailer_id)


def scoring_asked(event: ScoringAsked) -> None:
    """Score at once: somebody waits for it."""
    scores.rescore(retailer_ids=[event.retailer_id])


def _rescore(retailer_id: int) -> None:
    """Have the shop scored once for all that happens until then."""
    jobs.enqueue(
        "payments.rescore",
        {"retailer_id": retailer_id},
        reference=f"retailer:{retailer_id}",
        dedupe_key=f"score:{retailer_id}",
    )


def money_came(event: PaymentRecorded) -> None:
    """Promises may be kept now, and tasks about what is paid are void."""
    retailer_id = Payment.objects.values_list("retailer_id", flat=True).get(pk=event.payment_id)
    services.keep_promises(retailer_id=retailer_id)
    services.void_tasks(retailer_id=retailer_id)


def money_went(event: PaymentReversed) -> None:
    """What the payment had kept is broken, and what it had made needless is to be done."""
    retailer_id = Payment.objects.values_list("retailer_id", flat=True).get(pk=event.payment_id)
    services.break_promises(payment_id=event.payment_id)
    services.reopen_tasks(retailer_id=retailer_id)
