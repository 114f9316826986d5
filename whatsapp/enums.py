from django.db.models import TextChoices


class Direction(TextChoices):
    IN = "IN"
    OUT = "OUT"


class MessageStatus(TextChoices):
    """What became of a message; outbound ones climb this ladder, inbound ones are RECEIVED or IGNORED."""

    RECEIVED = "received"
    IGNORED = "ignored"
    DROPPED = "dropped"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    ACCEPTED = "accepted"
    SENT = "sent"
    FAILED = "failed"
    DELIVERED = "delivered"
    READ = "read"


INBOUND_STATUSES = (MessageStatus.RECEIVED, MessageStatus.IGNORED)
# From the lowest to the highest: reports arrive in any order, and the highest seen is shown. FAILED
# stands below DELIVERED, since what was delivered has arrived whatever else is reported. DROPPED was
# never handed over: what it was about had changed.
LADDER = (
    MessageStatus.DROPPED,
    MessageStatus.QUEUED,
    MessageStatus.SENDING,
    MessageStatus.UNKNOWN,
    MessageStatus.ACCEPTED,
    MessageStatus.SENT,
    MessageStatus.FAILED,
    MessageStatus.DELIVERED,
    MessageStatus.READ,
)


def highest(current: str, reported: str) -> str:
    """Return the higher of two statuses; a word that is not on the ladder changes nothing."""
    if reported not in LADDER:
        return current
    return max(current, reported, key=lambda status: LADDER.index(MessageStatus(status)))


class MessageKind(TextChoices):
    ORDER_CONFIRMATION = "order_confirmation"
    VENDOR_OFFER = "vendor_offer"
    DELIVERY_UPDATE = "delivery_update"
    PAYMENT_REMINDER = "payment_reminder"
    BALANCE = "balance"
    GENERIC = "generic"


# Worth a second copy when nobody knows whether the first one arrived; a reminder is not.
SENT_AGAIN = (MessageKind.ORDER_CONFIRMATION, MessageKind.VENDOR_OFFER)
