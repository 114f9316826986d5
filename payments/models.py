"""Money received, allocated, reversed. Amounts are NPR and positive."""

from decimal import Decimal

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now, Upper

from credit.models import CreditAccount, CreditLedger, Retailer, TenantQuerySet
from khaacho.models import Sequence, User
from khaacho.money import ZERO
from orders.models import Order
from payments.dunning import Level
from payments.enums import (
    NoticeState,
    PaymentMethod,
    PaymentState,
    PromiseState,
    ReminderState,
    TaskKind,
    TaskState,
)
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
            # staff: cheques that came back; the method's filter has the unique constraint's index
            models.Index(fields=["-id"], condition=Q(bounced=True), name="payment_bounced_idx"),
            # search by a cheque's or receipt's number
            GinIndex(
                OpClass(Upper("reference"), name="gin_trgm_ops"), name="payment_reference_trgm_idx"
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


class ReminderNotice(models.Model):
    """One message to one shop on one day about all dues that have reached a level.

    `amount` is what its dues had left to pay, NPR. It goes on its day or not at all.
    """

    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="notices", db_index=False)
    day = models.DateField()
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    state = models.CharField(max_length=7, choices=NoticeState, default=NoticeState.QUEUED)
    reason = models.CharField(max_length=200, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    confirmed_at = models.DateTimeField(null=True, blank=True)
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "reminder_notices"
        constraints = [
            # never two a day; also the index of a shop's newest notices
            models.UniqueConstraint(fields=["retailer", "day"], name="notice_once_a_day"),
            models.CheckConstraint(condition=Q(amount__gt=0), name="notice_amount_positive"),
            # what was sent had been looked at just before
            models.CheckConstraint(
                condition=Q(
                    state=NoticeState.SENT, confirmed_at__isnull=False, sent_at__isnull=False
                )
                | (~Q(state=NoticeState.SENT) & Q(sent_at__isnull=True)),
                name="notice_sent_was_confirmed",
            ),
            models.CheckConstraint(
                condition=~Q(state=NoticeState.DROPPED) | ~Q(reason=""),
                name="notice_drop_has_reason",
            ),
        ]
        indexes = [
            # staff list filter; notices that never went
            models.Index(fields=["state", "-id"], name="notice_state_idx"),
        ]

    def __str__(self) -> str:
        return f"notice of {self.day} to {self.retailer}"


class PaymentReminder(models.Model):
    """One level of the ladder for one invoice, done once. `level` is days from the due date.

    QUEUED and SENT are lines of a notice; TASK is work for staff; SKIPPED was passed over for good.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="reminders", db_index=False)
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="reminders")
    notice = models.ForeignKey(
        ReminderNotice,
        models.PROTECT,
        null=True,
        blank=True,
        related_name="reminders",
        db_index=False,
    )
    level = models.SmallIntegerField()
    state = models.CharField(max_length=7, choices=ReminderState, default=ReminderState.QUEUED)
    reason = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payment_reminders"
        constraints = [
            models.UniqueConstraint(fields=["order", "level"], name="reminder_once_per_level"),
            models.CheckConstraint(
                condition=Q(level__in=[level.value for level in Level]), name="reminder_level_known"
            ),
            models.CheckConstraint(
                condition=Q(state=ReminderState.SENT, sent_at__isnull=False, notice__isnull=False)
                | Q(state=ReminderState.QUEUED, sent_at__isnull=True, notice__isnull=False)
                | (Q(state=ReminderState.SKIPPED, sent_at__isnull=True) & ~Q(reason=""))
                | Q(state=ReminderState.TASK, sent_at__isnull=True, notice__isnull=True),
                name="reminder_state_shape",
            ),
        ]
        indexes = [
            # staff list filter
            models.Index(fields=["state", "-id"], name="reminder_state_idx"),
            models.Index(fields=["level", "-id"], name="reminder_level_idx"),
            # the lines of a notice
            models.Index(
                fields=["notice"],
                name="reminder_notice_idx",
                condition=Q(notice__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"reminder {self.pk}"


class PaymentPromise(models.Model):
    """A shop's word to pay `amount` NPR by the end of `until`; no `order`: of all that it owes.

    While OPEN it stops reminders through that day. KEPT by payments recorded since; else BROKEN.
    """

    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="promises")
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="promises", db_index=False
    )
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    until = models.DateField()
    note = models.CharField(max_length=300, blank=True, default="")
    state = models.CharField(max_length=9, choices=PromiseState, default=PromiseState.OPEN)
    made_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    reason = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "payment_promises"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="promise_amount_positive"),
            models.CheckConstraint(
                condition=Q(state=PromiseState.OPEN, closed_at__isnull=True)
                | (~Q(state=PromiseState.OPEN) & Q(closed_at__isnull=False)),
                name="promise_closed_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(state=PromiseState.CANCELLED) | ~Q(reason=""),
                name="promise_cancel_has_reason",
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(state=PromiseState.OPEN, order__isnull=False),
                name="promise_open_once_per_order",
            ),
            models.UniqueConstraint(
                fields=["retailer"],
                condition=Q(state=PromiseState.OPEN, order__isnull=True),
                name="promise_open_once_per_shop",
            ),
        ]
        indexes = [
            # staff list filter
            models.Index(fields=["state", "-id"], name="promise_state_idx"),
            # an order's promises
            models.Index(
                fields=["order"], name="promise_order_idx", condition=Q(order__isnull=False)
            ),
        ]

    def __str__(self) -> str:
        return f"promise {self.pk}"


class InvoiceDispute(models.Model):
    """A shop contests an invoice: nobody is reminded of it until the dispute is resolved."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="disputes", db_index=False)
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="disputes")
    reason = models.CharField(max_length=300)
    opened_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    opened_at = models.DateTimeField(db_default=Now())
    resolution = models.CharField(max_length=300, blank=True, default="")
    resolved_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    resolved_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "invoice_disputes"
        constraints = [
            models.CheckConstraint(condition=~Q(reason=""), name="dispute_has_reason"),
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, resolution="")
                | (Q(resolved_at__isnull=False) & ~Q(resolution="")),
                name="dispute_resolved_is_whole",
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(resolved_at__isnull=True),
                name="dispute_open_once_per_order",
            ),
        ]
        indexes = [
            # staff list: what is open, and what was resolved
            models.Index(
                fields=["-id"], name="dispute_open_idx", condition=Q(resolved_at__isnull=True)
            ),
            models.Index(
                fields=["-id"], name="dispute_resolved_idx", condition=Q(resolved_at__isnull=False)
            ),
            # an order's disputes
            models.Index(fields=["order"], name="dispute_order_idx"),
        ]

    def __str__(self) -> str:
        return f"dispute {self.pk}"


class CollectionTask(models.Model):
    """What a person has to do about a late due, once per (order, level), or about a broken promise."""

    kind = models.CharField(max_length=9, choices=TaskKind)
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="collection_tasks")
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="collection_tasks"
    )
    promise = models.OneToOneField(
        PaymentPromise, models.PROTECT, null=True, blank=True, related_name="task"
    )
    state = models.CharField(max_length=4, choices=TaskState, default=TaskState.OPEN)
    outcome = models.CharField(max_length=300, blank=True, default="")
    created_at = models.DateTimeField(db_default=Now())
    done_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "collection_tasks"
        constraints = [
            models.UniqueConstraint(
                fields=["order", "kind"],
                condition=~Q(kind=TaskKind.PROMISE),
                name="task_once_per_level",
            ),
            models.CheckConstraint(
                condition=Q(kind=TaskKind.PROMISE, promise__isnull=False)
                | (~Q(kind=TaskKind.PROMISE) & Q(promise__isnull=True, order__isnull=False)),
                name="task_is_about_something",
            ),
            models.CheckConstraint(
                condition=Q(state=TaskState.OPEN, done_at__isnull=True)
                | (~Q(state=TaskState.OPEN) & Q(done_at__isnull=False) & ~Q(outcome="")),
                name="task_done_has_outcome",
            ),
        ]
        indexes = [
            # staff list: what is to be done, by kind
            models.Index(fields=["state", "-id"], name="task_state_idx"),
            models.Index(fields=["kind", "-id"], name="task_kind_idx"),
        ]

    def __str__(self) -> str:
        return f"{TaskKind(self.kind).label} {self.pk}"
