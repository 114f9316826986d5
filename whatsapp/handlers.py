"""Facts that WhatsApp tells people."""

from credit.events import RetailerApproved
from orders.events import (
    OrderAccepted,
    OrderCancelled,
    OrderDelivered,
    OrderDispatched,
    OrderOffered,
    OrderPlaced,
    OrderUnroutable,
)
from payments.events import PaymentRecorded, PaymentReversed, ReminderPlanned
from whatsapp.services import notices


def order_placed(event: OrderPlaced) -> None:
    notices.announce_placed(event.order_id)


def order_offered(event: OrderOffered) -> None:
    notices.announce_offered(event.acceptance_id)


def order_accepted(event: OrderAccepted) -> None:
    notices.announce_accepted(event.order_id)


def order_dispatched(event: OrderDispatched) -> None:
    notices.announce_dispatched(event.order_id)


def order_delivered(event: OrderDelivered) -> None:
    notices.announce_delivered(event.order_id)


def order_cancelled(event: OrderCancelled) -> None:
    notices.announce_cancelled(event.order_id)


def order_unroutable(event: OrderUnroutable) -> None:
    notices.announce_unroutable(event.order_id)


def payment_recorded(event: PaymentRecorded) -> None:
    notices.announce_payment(event.payment_id, "payment_recorded")


def payment_reversed(event: PaymentReversed) -> None:
    notices.announce_payment(event.payment_id, "payment_reversed")


def retailer_approved(event: RetailerApproved) -> None:
    notices.announce_approved(event.retailer_id)


def reminder_planned(event: ReminderPlanned) -> None:
    notices.announce_reminder(event.notice_id)
