from django.db.models import TextChoices


class Direction(TextChoices):
    IN = "IN"
    OUT = "OUT"


class MessageStatus(TextChoices):
    """What became of a message; outbound ones climb this ladder, inbound ones are RECEIVED or IGNORED."""

    RECEIVED = "received"
    IGNORED = "ignored"
    QUEUED = "queued"
    SENDING = "sending"
    ACCEPTED = "accepted"
    SENT = "sent"
    DELIVERED = "delivered"
    READ = "read"
    FAILED = "failed"
    UNKNOWN = "unknown"


class MessageKind(TextChoices):
    ORDER_CONFIRMATION = "order_confirmation"
    VENDOR_OFFER = "vendor_offer"
    DELIVERY_UPDATE = "delivery_update"
    PAYMENT_REMINDER = "payment_reminder"
    BALANCE = "balance"
    GENERIC = "generic"
