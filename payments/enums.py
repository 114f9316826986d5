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
    QUEUED = "QUEUED"
    SENT = "SENT"
    SKIPPED = "SKIPPED"
