from django.db.models import TextChoices


class PaymentMethod(TextChoices):
    CASH = "CASH"
    BANK_TRANSFER = "BANK_TRANSFER"
    MOBILE_MONEY = "MOBILE_MONEY"
    CHEQUE = "CHEQUE"


class PaymentState(TextChoices):
    PENDING = "PENDING"
    PROCESSED = "PROCESSED"
    REVERSED = "REVERSED"
    FAILED = "FAILED"


class ReminderState(TextChoices):
    """What became of one level of one invoice: a message, a task for staff, or passed over."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    SKIPPED = "SKIPPED"
    TASK = "TASK"


class NoticeState(TextChoices):
    """QUEUED until it is handed over; DROPPED when it did not go."""

    QUEUED = "QUEUED"
    SENT = "SENT"
    DROPPED = "DROPPED"


class PromiseState(TextChoices):
    OPEN = "OPEN"
    KEPT = "KEPT"
    BROKEN = "BROKEN"
    CANCELLED = "CANCELLED"


class TaskKind(TextChoices):
    CALL = "CALL", "Call the shop"
    COLLECTOR = "COLLECTOR", "Send a collector"
    REVIEW = "REVIEW", "Review for write-off"
    PROMISE = "PROMISE", "A promise was broken"


class TaskState(TextChoices):
    """VOID: the money came before anybody did it."""

    OPEN = "OPEN"
    DONE = "DONE"
    VOID = "VOID"
