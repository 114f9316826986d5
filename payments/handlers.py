"""Facts that payments hear."""

from orders.events import OrderDelivered
from orders.models import Order
from payments import services
from payments.events import PaymentRecorded, PaymentReversed
from payments.models import Payment


def order_delivered(event: OrderDelivered) -> None:
    """An advance pays the next invoice."""
    order = Order.objects.get(pk=event.order_id)
    services.apply_advances(retailer_id=order.retailer_id, vendor_id=order.vendor_id)


def payment_reversed(event: PaymentReversed) -> None:
    """What a reversed payment had paid may be paid by another advance."""
    payment = Payment.objects.get(pk=event.payment_id)
    services.apply_advances(retailer_id=payment.retailer_id, vendor_id=payment.vendor_id)


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
