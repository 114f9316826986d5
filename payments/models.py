"""Money received, allocated, reversed. Amounts are NPR and positive."""

from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from credit.models import CreditAccount, CreditLedger, Retailer, TenantQuerySet
from khaacho.models import Sequence, User
from khaacho.money import ZERO
from orders.models import Order
from payments.enums import PaymentMethod, PaymentState, ReminderState
from vendors.models import Vendor


class Payment(models.Model):
    """Money of a retailer for a vendor. What no live allocation uses is an advance on the account."""

    payment_number = models.CharField(
        max_length=20,
        unique=True,
        db_default=Sequence("payment_number_seq", "PAY", width=7, year=True),
    )
    account = models.ForeignKey(CreditAccount, models.PROTECT, related_name="payments")
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="payments", db_index=False)
    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="payments", db_index=False)
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    allocated_amount = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    method = models.CharField(max_length=13, choices=PaymentMethod)
    payment_status = models.CharField(
        max_length=9,
        choices=PaymentState,
        db_default=PaymentState.PENDING,
        default=PaymentState.PENDING,
    )
    reference = models.CharField(max_length=80, blank=True, db_default="", default="")
    transaction_id = models.CharField(max_length=80, null=True, blank=True)  # noqa: DJ001 - NULL does not collide
    ledger_entry = models.OneToOneField(
        CreditLedger, models.PROTECT, null=True, blank=True, related_name="payment"
    )
    received_by = models.ForeignKey(
        User, models.PROTECT, null=True, related_name="+", db_index=False
    )
    reversal_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    bounced = models.BooleanField(db_default=False, default=False)
    created_at = models.DateTimeField(db_default=Now())
    reversed_at = models.DateTimeField(null=True, blank=True)

    objects = TenantQuerySet["Payment"].as_manager()

    class Meta:
        db_table = "payments"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="payment_amount_positive"),
            models.CheckConstraint(
                condition=Q(allocated_amount__gte=0) & Q(allocated_amount__lte=models.F("amount")),
                name="payment_allocated_within_amount",
            ),
            models.CheckConstraint(
                condition=~Q(payment_status__in=[PaymentState.PROCESSED, PaymentState.REVERSED])
                | Q(ledger_entry__isnull=False),
                name="payment_processed_has_ledger_entry",
            ),
            models.CheckConstraint(
                condition=~Q(payment_status=PaymentState.REVERSED)
                | (Q(reversed_at__isnull=False, allocated_amount=0) & ~Q(reversal_reason="")),
                name="payment_reversed_is_whole",
            ),
            models.CheckConstraint(
                condition=Q(bounced=False)
                | Q(method=PaymentMethod.CHEQUE, payment_status=PaymentState.REVERSED),
                name="payment_only_cheques_bounce",
            ),
            # the same external transaction is never taken twice
            models.UniqueConstraint(
                fields=["method", "transaction_id"], name="payment_transaction_once"
            ),
        ]
        indexes = [
            # 11 retailer's payments
            models.Index(
                fields=["retailer", "payment_status", "-created_at"], name="payment_retailer_idx"
            ),
            # 12 vendor's receipts
            models.Index(fields=["vendor", "-created_at"], name="payment_vendor_idx"),
            # staff: everybody's payments; the dashboard's money received
            models.Index(fields=["-created_at", "-id"], name="payment_created_idx"),
            # staff: cheques not cleared, transfers that failed, what was taken back
            models.Index(
                fields=["payment_status", "-id"],
                name="payment_unusual_idx",
                condition=~Q(payment_status=PaymentState.PROCESSED),
            ),
            # advances to use up when an order is delivered
            models.Index(
                fields=["account", "id"],
                name="payment_advance_idx",
                condition=Q(
                    payment_status=PaymentState.PROCESSED, amount__gt=models.F("allocated_amount")
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.payment_number

    @property
    def unallocated_amount(self) -> Decimal:
        """What is left as an advance on the account, in NPR; nothing of a payment taken back."""
        if self.payment_status != PaymentState.PROCESSED:
            return ZERO
        return self.amount - self.allocated_amount


class PaymentAllocation(models.Model):
    """Part of a payment used for an order; live until its payment is reversed."""

    payment = models.ForeignKey(Payment, models.PROTECT, related_name="allocations", db_index=False)
    order = models.ForeignKey(Order, models.PROTECT, related_name="allocations")
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    created_at = models.DateTimeField(db_default=Now())
    reversed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payment_allocations"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="allocation_amount_positive"),
            models.UniqueConstraint(fields=["payment", "order"], name="allocation_once_per_order"),
        ]

    def __str__(self) -> str:
        return f"allocation {self.pk}"


class PaymentReminder(models.Model):
    """One level of the reminder ladder for one invoice, sent once. `level` is days from the due date."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="reminders", db_index=False)
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="reminders")
    level = models.SmallIntegerField()
    state = models.CharField(max_length=7, choices=ReminderState, default=ReminderState.QUEUED)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payment_reminders"
        constraints = [
            models.UniqueConstraint(fields=["order", "level"], name="reminder_once_per_level"),
        ]

    def __str__(self) -> str:
        return f"reminder {self.pk}"
