"""The promise: an order from placing to closing. Amounts are NPR."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from credit.models import CreditApproval, CreditLedger, Retailer
from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.models import Sequence, User
from orders.enums import (
    CLOSED,
    DECLINED,
    INVOICED,
    UNDELIVERED,
    AcceptanceStatus,
    OrderSource,
    OrderStatus,
    PaymentStatus,
    PaymentTerms,
    RefusalState,
)
from vendors.models import Product, Vendor, VendorProduct


class OrderQuerySet(models.QuerySet["Order"]):
    def for_user(self, actor: Actor) -> "OrderQuerySet":
        """Orders that the actor may see; what is not theirs does not exist."""
        if actor.is_staff:
            return self
        if actor.role == Role.RETAILER:
            return self.filter(retailer_id=actor.retailer_id or 0)
        return self.filter(vendor_id=actor.vendor_id or 0)

    def open(self) -> "OrderQuerySet":
        return self.exclude(status__in=CLOSED)

    def undelivered(self) -> "OrderQuerySet":
        return self.filter(status__in=UNDELIVERED)

    def owing(self) -> "OrderQuerySet":
        """Invoiced orders with something left to pay."""
        return self.filter(due_date__isnull=False, due_amount__gt=0)


class Order(models.Model):
    """One shop's order from one vendor.

    `agreed_total` is the total when placed: a re-route never exceeds it. `account_exposure` and
    `platform_exposure` are what the retailer owed and had promised including this order when its
    credit was reserved, beside the limits of that moment; a CHECK compares them.
    Status changes are logged by a trigger, which also refuses edges that do not exist.
    """

    order_number = models.CharField(
        max_length=20,
        unique=True,
        db_default=Sequence("order_number_seq", "ORD", width=7, year=True),
    )
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="orders", db_index=False)
    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="orders", db_index=False)
    vendor_named = models.BooleanField(default=True)
    status = models.CharField(max_length=16, choices=OrderStatus, db_default=OrderStatus.PLACED)
    payment_status = models.CharField(
        max_length=8, choices=PaymentStatus, db_default=PaymentStatus.PENDING
    )
    payment_terms = models.CharField(max_length=6, choices=PaymentTerms)
    subtotal = models.DecimalField(max_digits=14, decimal_places=2)
    tax_amount = models.DecimalField(max_digits=14, decimal_places=2)
    total = models.DecimalField(max_digits=14, decimal_places=2)
    agreed_total = models.DecimalField(max_digits=14, decimal_places=2)
    paid_amount = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    due_amount = models.GeneratedField(
        expression=F("total") - F("paid_amount"),
        output_field=models.DecimalField(max_digits=14, decimal_places=2),
        db_persist=True,
    )
    account_exposure = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    account_limit = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    platform_exposure = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    platform_limit = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    credit_approval = models.ForeignKey(
        CreditApproval, models.PROTECT, null=True, blank=True, related_name="+"
    )
    ledger_entry = models.OneToOneField(
        CreditLedger, models.PROTECT, null=True, blank=True, related_name="order"
    )
    invoice_number = models.CharField(max_length=40, null=True, blank=True)  # noqa: DJ001 - none until delivered
    due_date = models.DateField(null=True, blank=True)
    notes = models.CharField(max_length=500, blank=True, db_default="", default="")
    source = models.CharField(max_length=8, choices=OrderSource, default=OrderSource.API)
    source_key = models.CharField(max_length=128, unique=True, null=True, blank=True)
    placed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    cancel_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    created_at = models.DateTimeField(db_default=Now())
    accepted_at = models.DateTimeField(null=True, blank=True)
    packed_at = models.DateTimeField(null=True, blank=True)
    dispatched_at = models.DateTimeField(null=True, blank=True)
    out_for_delivery_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)
    completed_at = models.DateTimeField(null=True, blank=True)
    cancelled_at = models.DateTimeField(null=True, blank=True)

    objects = OrderQuerySet.as_manager()

    class Meta:
        db_table = "orders"
        constraints = [
            models.CheckConstraint(condition=Q(total__gt=0), name="order_total_positive"),
            models.CheckConstraint(
                condition=Q(total=F("subtotal") + F("tax_amount")), name="order_total_is_sum"
            ),
            models.CheckConstraint(
                condition=Q(total__lte=F("agreed_total")), name="order_total_within_agreed"
            ),
            models.CheckConstraint(
                condition=Q(paid_amount__gte=0) & Q(paid_amount__lte=F("total")),
                name="order_paid_within_total",
            ),
            models.CheckConstraint(
                condition=Q(status__in=OrderStatus.values), name="order_status_known"
            ),
            models.CheckConstraint(
                condition=(
                    Q(status__in=INVOICED)
                    & Q(
                        ledger_entry__isnull=False,
                        due_date__isnull=False,
                        invoice_number__isnull=False,
                    )
                )
                | (~Q(status__in=INVOICED) & Q(ledger_entry__isnull=True)),
                name="order_delivered_has_ledger_entry",
            ),
            models.CheckConstraint(
                condition=Q(status__in=INVOICED) | Q(paid_amount=0),
                name="order_paid_after_delivery",
            ),
            models.CheckConstraint(
                condition=~Q(status=OrderStatus.CANCELLED) | ~Q(cancel_reason=""),
                name="order_cancel_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(payment_terms=PaymentTerms.CASH)
                | Q(platform_exposure__isnull=False, platform_limit__isnull=False),
                name="order_credit_was_checked",
            ),
            models.CheckConstraint(
                condition=Q(payment_terms=PaymentTerms.CASH)
                | Q(credit_approval__isnull=False)
                | (
                    Q(platform_exposure__lte=F("platform_limit"))
                    & (Q(account_limit__isnull=True) | Q(account_exposure__lte=F("account_limit")))
                ),
                name="order_within_credit_limit",
            ),
            models.CheckConstraint(
                condition=(Q(payment_status=PaymentStatus.PAID) & Q(paid_amount=F("total")))
                | (~Q(payment_status=PaymentStatus.PAID) & Q(paid_amount__lt=F("total"))),
                name="order_paid_status_matches",
            ),
            models.UniqueConstraint(
                fields=["vendor", "invoice_number"],
                condition=Q(invoice_number__isnull=False),
                name="order_invoice_number_per_vendor",
            ),
        ]
        indexes = [
            # 1 retailer's orders by status
            models.Index(
                fields=["retailer", "status", "-created_at"], name="order_retailer_status_idx"
            ),
            # 2 vendor's orders by status
            models.Index(
                fields=["vendor", "status", "-created_at"], name="order_vendor_status_idx"
            ),
            # 3 staff list filters
            models.Index(
                fields=["status", "payment_status", "-created_at"], name="order_statuses_idx"
            ),
            # 4 staff list, reports
            models.Index(fields=["-created_at"], name="order_created_idx"),
            # 5 active orders board
            models.Index(
                fields=["-created_at"], name="order_active_idx", condition=~Q(status__in=CLOSED)
            ),
            # 6 dunning, risk
            models.Index(
                fields=["retailer", "due_amount", "-created_at"],
                name="order_overdue_idx",
                condition=Q(payment_status=PaymentStatus.OVERDUE),
            ),
            # 7 the retailer order list, an index-only scan
            models.Index(
                fields=["retailer", "-created_at", "-id"],
                include=["order_number", "status", "payment_status", "total", "due_amount"],
                name="order_list_covering_idx",
            ),
            # the vendor's order list, whatever the status
            models.Index(fields=["vendor", "-created_at", "-id"], name="order_vendor_list_idx"),
            # oldest dues first: allocation, the credit hold, the daily overdue job, and ageing, an
            # index-only scan
            models.Index(
                fields=["retailer", "vendor", "due_date", "id"],
                include=["due_amount"],
                name="order_owing_idx",
                condition=Q(due_date__isnull=False, due_amount__gt=0),
            ),
            # the daily job that marks dues OVERDUE: those that are not, first due first
            models.Index(
                fields=["due_date", "id"],
                name="order_falling_due_idx",
                condition=Q(
                    due_date__isnull=False,
                    due_amount__gt=0,
                    payment_status__in=[PaymentStatus.PENDING, PaymentStatus.PARTIAL],
                ),
            ),
        ]

    def __str__(self) -> str:
        return self.order_number


class OrderItem(models.Model):
    """One line: prices, tax and names as agreed. `line_total` is NPR without VAT."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="items", db_index=False)
    offer = models.ForeignKey(VendorProduct, models.PROTECT, related_name="+")
    product = models.ForeignKey(Product, models.PROTECT, related_name="+")
    product_name = models.CharField(max_length=200)
    sku = models.CharField(max_length=40)
    quantity = models.IntegerField()
    unit_price = models.DecimalField(max_digits=12, decimal_places=2)
    tax_rate = models.DecimalField(max_digits=4, decimal_places=2)
    line_total = models.DecimalField(max_digits=14, decimal_places=2)
    tax_amount = models.DecimalField(max_digits=14, decimal_places=2)

    class Meta:
        db_table = "order_items"
        constraints = [
            models.UniqueConstraint(fields=["order", "product"], name="item_once_per_order"),
            models.CheckConstraint(condition=Q(quantity__gt=0), name="item_quantity_positive"),
            models.CheckConstraint(condition=Q(unit_price__gt=0), name="item_price_positive"),
            models.CheckConstraint(
                condition=Q(line_total=F("quantity") * F("unit_price")), name="item_line_total"
            ),
            models.CheckConstraint(
                condition=Q(tax_amount__gte=0) & Q(tax_amount__lte=F("line_total")),
                name="item_tax_range",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product_name}"


class OrderStatusLog(models.Model):
    """Who moved an order from where to where; written by a trigger, append-only."""

    order = models.ForeignKey(Order, models.PROTECT, related_name="history", db_index=False)
    sequence = models.SmallIntegerField()
    from_status = models.CharField(max_length=16, choices=OrderStatus, null=True)  # noqa: DJ001 - NULL: placed
    to_status = models.CharField(max_length=16, choices=OrderStatus)
    actor = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    reason = models.CharField(max_length=500, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "order_status_logs"
        constraints = [
            models.UniqueConstraint(fields=["order", "sequence"], name="status_log_sequence"),
        ]

    def __str__(self) -> str:
        return f"{self.from_status} → {self.to_status}"


class VendorOrderAcceptance(models.Model):
    """One vendor asked to take one order, and the answer.

    `score` is 0-100; `candidates` keeps every candidate's parts of the routing decision.
    """

    order = models.ForeignKey(Order, models.PROTECT, related_name="acceptances", db_index=False)
    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="acceptances", db_index=False)
    status = models.CharField(
        max_length=9, choices=AcceptanceStatus, db_default=AcceptanceStatus.PENDING
    )
    deadline = models.DateTimeField()
    score = models.DecimalField(max_digits=5, decimal_places=2, null=True)
    candidates = models.JSONField(default=list)
    reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    answered_at = models.DateTimeField(null=True, blank=True)
    answered_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "vendor_order_acceptances"
        constraints = [
            models.UniqueConstraint(
                fields=["order", "vendor"], name="acceptance_never_asked_twice"
            ),
            # one open question or one winner per order
            models.UniqueConstraint(
                fields=["order"],
                condition=Q(status__in=[AcceptanceStatus.PENDING, AcceptanceStatus.ACCEPTED]),
                name="acceptance_one_open_per_order",
            ),
            models.CheckConstraint(
                condition=Q(status=AcceptanceStatus.PENDING) | Q(answered_at__isnull=False),
                name="acceptance_answer_has_time",
            ),
        ]
        indexes = [
            # 25 vendor inbox
            models.Index(
                fields=["vendor", "-created_at"],
                name="acceptance_inbox_idx",
                condition=Q(status=AcceptanceStatus.PENDING),
            ),
            # expiry sweep
            models.Index(
                fields=["deadline"],
                name="acceptance_deadline_idx",
                condition=Q(status=AcceptanceStatus.PENDING),
            ),
            # staff list filter
            models.Index(
                fields=["status", "-id"],
                name="acceptance_declined_idx",
                condition=Q(status__in=DECLINED),
            ),
        ]

    def __str__(self) -> str:
        return f"acceptance {self.pk}"


class OrderRefusal(models.Model):
    """An order that was not accepted, with its numbers; the credit desk may approve it once."""

    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="refusals")
    vendor = models.ForeignKey(Vendor, models.PROTECT, null=True, blank=True, related_name="+")
    code = models.CharField(max_length=40)
    message = models.CharField(max_length=500)
    requested = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    available = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    shortfall = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    details = models.JSONField(default=dict)
    request = models.JSONField()
    state = models.CharField(
        max_length=8, choices=RefusalState, db_default=RefusalState.OPEN, default=RefusalState.OPEN
    )
    placed_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    decision_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    order = models.OneToOneField(
        Order, models.PROTECT, null=True, blank=True, related_name="refusal"
    )
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "order_refusals"
        constraints = [
            models.CheckConstraint(
                condition=Q(state=RefusalState.OPEN) | ~Q(decision_reason=""),
                name="refusal_decision_has_reason",
            ),
        ]
        indexes = [
            # the credit desk's queue
            models.Index(
                fields=["-created_at"],
                name="refusal_open_idx",
                condition=Q(state=RefusalState.OPEN),
            ),
            # and what became of the rest
            models.Index(fields=["state", "-id"], name="refusal_state_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.pk}"


class FiscalYear(models.Model):
    """A Nepali fiscal year (1 Shrawan to end of Ashadh), as data that staff can correct."""

    name = models.CharField(max_length=7, unique=True, help_text="Bikram Sambat, like 2083/84")
    starts_on = models.DateField(unique=True)

    class Meta:
        db_table = "fiscal_years"
        ordering = ["-starts_on"]

    def __str__(self) -> str:
        return self.name


class InvoiceCounter(models.Model):
    """The last invoice number of a vendor in a fiscal year; gap-free, so its row is locked last."""

    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="+", db_index=False)
    fiscal_year = models.ForeignKey(FiscalYear, models.PROTECT, related_name="+", db_index=False)
    last_number = models.IntegerField(db_default=0)

    class Meta:
        db_table = "invoice_counters"
        constraints = [
            models.UniqueConstraint(fields=["vendor", "fiscal_year"], name="invoice_counter_once"),
        ]
