from django.db.models import TextChoices


class EntryType(TextChoices):
    """Kinds of ledger entries; debits are positive, credits negative."""

    ORDER_DEBIT = "ORDER_DEBIT"
    PAYMENT_CREDIT = "PAYMENT_CREDIT"
    REFUND_CREDIT = "REFUND_CREDIT"
    ADJUSTMENT_DEBIT = "ADJUSTMENT_DEBIT"
    ADJUSTMENT_CREDIT = "ADJUSTMENT_CREDIT"
    INTEREST_DEBIT = "INTEREST_DEBIT"
    REVERSAL = "REVERSAL"


DEBITS = (EntryType.ORDER_DEBIT, EntryType.ADJUSTMENT_DEBIT, EntryType.INTEREST_DEBIT)
CREDITS = (EntryType.PAYMENT_CREDIT, EntryType.REFUND_CREDIT, EntryType.ADJUSTMENT_CREDIT)


class RequestState(TextChoices):
    PENDING = "PENDING"
    APPROVED = "APPROVED"
    DECLINED = "DECLINED"
