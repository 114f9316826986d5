"""Facts that payments hear."""

from orders.events import OrderDelivered
from orders.models import Order
from payments import services
from payments.events import PaymentReversed
from payments.models import Payment


def order_delivered(event: OrderDelivered) -> None:
    """An advance pays the next invoice."""
    order = Order.objects.get(pk=event.order_id)
    services.apply_advances(retailer_id=order.retailer_id, vendor_id=order.vendor_id)


def payment_reversed(event: PaymentReversed) -> None:
    """What a reversed payment had paid may be paid by another advance."""
    payment = Payment.objects.get(pk=event.payment_id)
    services.apply_advances(retailer_id=payment.retailer_id, vendor_id=payment.vendor_id)
