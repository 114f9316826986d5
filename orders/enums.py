"""The order's state machine is data: code, admin and the database's trigger read the same edges."""

from django.db.models import TextChoices


class OrderStatus(TextChoices):
    PLACED = "PLACED"
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    PACKING = "PACKING"
    DISPATCHED = "DISPATCHED"
    OUT_FOR_DELIVERY = "OUT_FOR_DELIVERY"
    DELIVERED = "DELIVERED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"


S = OrderStatus
NEXT: dict[OrderStatus, tuple[OrderStatus, ...]] = {
    S.PLACED: (S.PENDING, S.CANCELLED),
    S.PENDING: (S.ACCEPTED, S.PLACED, S.CANCELLED),  # PLACED: nobody could be asked any more
    S.ACCEPTED: (S.PACKING, S.CANCELLED),
    S.PACKING: (S.DISPATCHED, S.CANCELLED),
    S.DISPATCHED: (S.OUT_FOR_DELIVERY, S.CANCELLED),
    S.OUT_FOR_DELIVERY: (S.DELIVERED, S.CANCELLED),
    S.DELIVERED: (S.COMPLETED,),
    S.COMPLETED: (),
    S.CANCELLED: (),
}
CLOSED = (S.COMPLETED, S.CANCELLED)
UNDISPATCHED = (S.PLACED, S.PENDING, S.ACCEPTED, S.PACKING)  # stock is reserved
UNDELIVERED = (*UNDISPATCHED, S.DISPATCHED, S.OUT_FOR_DELIVERY)  # credit is reserved
INVOICED = (S.DELIVERED, S.COMPLETED)


class PaymentStatus(TextChoices):
    PENDING = "PENDING"
    PARTIAL = "PARTIAL"
    PAID = "PAID"
    OVERDUE = "OVERDUE"


class PaymentTerms(TextChoices):
    CREDIT = "CREDIT"
    CASH = "CASH"


class OrderSource(TextChoices):
    API = "API"
    WHATSAPP = "WHATSAPP"
    ADMIN = "ADMIN"


class AcceptanceStatus(TextChoices):
    PENDING = "PENDING"
    ACCEPTED = "ACCEPTED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    WITHDRAWN = "WITHDRAWN"  # the order was cancelled before an answer


DECLINED = (AcceptanceStatus.REJECTED, AcceptanceStatus.EXPIRED, AcceptanceStatus.WITHDRAWN)


class RefusalState(TextChoices):
    OPEN = "OPEN"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
