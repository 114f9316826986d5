"""The retailer and what they owe. Positive amounts mean that the retailer owes more.

The ledger keeps itself: inserting an entry locks retailer and account, numbers and hashes the
entry, and moves the balances, in a trigger; nothing else may write a balance (docs/adr).
"""

from typing import Self, TypeVar

from django.contrib.postgres.indexes import GinIndex, OpClass
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now, Upper

from credit.enums import CREDITS, DEBITS, EntryType, RequestState
from credit.scoring import band
from khaacho.actors import Actor
from khaacho.enums import Role
from khaacho.models import Sequence, User
from vendors.models import Vendor

M = TypeVar("M", bound=models.Model)


class RetailerQuerySet(models.QuerySet["Retailer"]):
    def approved(self) -> "RetailerQuerySet":
        """Shops that may order."""
        return self.filter(is_approved=True, is_blocked=False, deleted_at=None)

    def live(self) -> "RetailerQuerySet":
        """Shops that are not deleted."""
        return self.filter(deleted_at=None)

    def owing(self) -> "RetailerQuerySet":
        """Shops, not deleted, that owe anything."""
        return self.live().filter(outstanding_debt__gt=0)


class Retailer(models.Model):
    """A shop. `outstanding_debt` and `reserved_credit` (NPR) are the sums over its accounts.

    `credit_limit` is the platform's, over all vendors; 0 means cash only.
    """

    user = models.OneToOneField(User, models.PROTECT, related_name="retailer")
    code = models.CharField(
        max_length=12,
        unique=True,
        db_default=Sequence("retailer_code_seq", "RTL", width=6),
        editable=False,
    )
    shop_name = models.CharField(max_length=160)
    shop_name_ne = models.CharField(max_length=160, blank=True)
    pan_number = models.CharField("PAN/VAT number", max_length=9, blank=True)
    address = models.CharField(max_length=200, blank=True)
    municipality = models.CharField(max_length=80)
    district = models.CharField(max_length=40)
    province = models.CharField(max_length=40)
    is_approved = models.BooleanField(db_default=False, default=False)
    approved_at = models.DateTimeField(null=True, blank=True)
    is_blocked = models.BooleanField(db_default=False, default=False)
    blocked_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    credit_limit = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    outstanding_debt = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    reserved_credit = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    credit_score = models.SmallIntegerField(db_default=630, default=630)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = RetailerQuerySet.as_manager()

    class Meta:
        db_table = "retailers"
        constraints = [
            models.CheckConstraint(
                condition=Q(credit_score__range=(300, 900)), name="retailer_credit_score_range"
            ),
            models.CheckConstraint(
                condition=Q(credit_limit__gte=0), name="retailer_credit_limit_positive"
            ),
            models.CheckConstraint(
                condition=Q(reserved_credit__gte=0), name="retailer_reserved_credit_positive"
            ),
            models.CheckConstraint(
                condition=~Q(is_blocked=True) | ~Q(blocked_reason=""),
                name="retailer_block_has_reason",
            ),
            models.CheckConstraint(
                condition=Q(pan_number="") | Q(pan_number__regex=r"^[0-9]{9}$"),
                name="retailer_pan_digits",
            ),
        ]
        indexes = [
            # staff list
            models.Index(
                F("credit_score").desc(),
                "is_approved",
                name="retailer_score_idx",
                condition=Q(deleted_at=None),
            ),
            # debtors
            models.Index(
                F("outstanding_debt").desc(),
                name="retailer_debt_idx",
                condition=Q(deleted_at=None, outstanding_debt__gt=0),
            ),
            # staff list filters
            models.Index(
                fields=["-id"], condition=Q(is_approved=False), name="retailer_unapproved_idx"
            ),
            models.Index(fields=["-id"], condition=Q(is_blocked=True), name="retailer_blocked_idx"),
            # staff search by shop
            GinIndex(
                OpClass(Upper("shop_name"), name="gin_trgm_ops"), name="retailer_shop_name_trgm_idx"
            ),
            GinIndex(
                OpClass(Upper("shop_name_ne"), name="gin_trgm_ops"),
                name="retailer_name_ne_trgm_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.shop_name} ({self.code})"


class TenantQuerySet(models.QuerySet[M]):
    """Rows that belong to a retailer and a vendor."""

    def for_user(self, actor: Actor) -> Self:
        """Rows that the actor may see; what is not theirs does not exist."""
        if actor.is_staff:
            return self
        if actor.role == Role.RETAILER:
            return self.filter(retailer_id=actor.retailer_id or 0)
        return self.filter(vendor_id=actor.vendor_id or 0)


class CreditAccount(models.Model):
    """What one retailer owes one vendor (NPR). The row is the lock that serialises its ledger.

    Available = limit - balance - reserved. `credit_limit` NULL: only the platform's limit applies.
    A limit may be cut below today's exposure; a rise of `reserved` past it is refused by a trigger.
    """

    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="accounts", db_index=False)
    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="accounts")
    balance = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    reserved = models.DecimalField(max_digits=14, decimal_places=2, db_default=0, default=0)
    credit_limit = models.DecimalField(max_digits=14, decimal_places=2, null=True, blank=True)
    payment_terms_days = models.PositiveSmallIntegerField(db_default=30, default=30)
    last_sequence = models.BigIntegerField(db_default=0, default=0)
    last_hash = models.CharField(max_length=64, blank=True, db_default="", default="")
    is_frozen = models.BooleanField(db_default=False, default=False)
    frozen_reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = TenantQuerySet["CreditAccount"].as_manager()

    class Meta:
        db_table = "credit_accounts"
        constraints = [
            models.UniqueConstraint(fields=["retailer", "vendor"], name="account_once_per_pair"),
            models.CheckConstraint(condition=Q(reserved__gte=0), name="account_reserved_positive"),
            models.CheckConstraint(
                condition=Q(credit_limit__isnull=True) | Q(credit_limit__gte=0),
                name="account_limit_positive",
            ),
            models.CheckConstraint(
                condition=Q(payment_terms_days__lte=180), name="account_terms_range"
            ),
        ]
        indexes = [
            # staff: what was frozen and why
            models.Index(fields=["-id"], name="account_frozen_idx", condition=Q(is_frozen=True)),
        ]

    def __str__(self) -> str:
        return f"account {self.pk}"


class CreditLedger(models.Model):
    """One entry of an account's ledger (NPR), both the retailer's debt and the vendor's receivable.

    Append-only. `account`, `transaction_type`, `amount`, `key` and the descriptive fields are given;
    the insert trigger fills tenant, sequence, balances and hashes. `key` makes posting twice
    impossible (`order:42:debit`); a REVERSAL mirrors the entry in `reverses`, once.
    """

    account = models.ForeignKey(
        CreditAccount, models.PROTECT, related_name="entries", db_index=False
    )
    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="+", db_index=False)
    vendor = models.ForeignKey(Vendor, models.PROTECT, related_name="+", db_index=False)
    entry_number = models.CharField(
        max_length=20,
        unique=True,
        db_default=Sequence("ledger_number_seq", "LED", width=7, year=True),
    )
    sequence = models.BigIntegerField()
    transaction_type = models.CharField(max_length=20, choices=EntryType)
    previous_balance = models.DecimalField(max_digits=14, decimal_places=2)
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    running_balance = models.DecimalField(max_digits=14, decimal_places=2)
    key = models.CharField(max_length=80, unique=True)
    reference = models.CharField(max_length=40)
    due_date = models.DateField(null=True, blank=True)
    reverses = models.OneToOneField(
        "self", models.PROTECT, null=True, blank=True, related_name="reversal"
    )
    note = models.CharField(max_length=300, blank=True, db_default="", default="")
    actor = models.ForeignKey(User, models.PROTECT, null=True, related_name="+", db_index=False)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)
    created_at = models.DateTimeField(db_default=Now())

    objects = TenantQuerySet["CreditLedger"].as_manager()

    class Meta:
        db_table = "credit_ledgers"
        constraints = [
            models.UniqueConstraint(
                fields=["account", "sequence"], name="ledger_sequence_per_account"
            ),
            models.CheckConstraint(
                condition=Q(running_balance=F("previous_balance") + F("amount")),
                name="ledger_running_balance",
            ),
            models.CheckConstraint(
                condition=Q(transaction_type__in=DEBITS, amount__gt=0)
                | Q(transaction_type__in=CREDITS, amount__lt=0)
                | (Q(transaction_type=EntryType.REVERSAL) & ~Q(amount=0)),
                name="ledger_sign_of_type",
            ),
            models.CheckConstraint(
                condition=Q(transaction_type=EntryType.REVERSAL, reverses__isnull=False)
                | (~Q(transaction_type=EntryType.REVERSAL) & Q(reverses__isnull=True)),
                name="ledger_reversal_names_entry",
            ),
        ]
        indexes = [
            # statement of an account: its last balance before a day, its entries of a period
            models.Index(
                fields=["account", "-created_at", "-sequence"], name="ledger_account_created_idx"
            ),
            # statement
            models.Index(fields=["retailer", "-created_at"], name="ledger_retailer_idx"),
            # receivables
            models.Index(fields=["vendor", "-created_at"], name="ledger_vendor_idx"),
            # reports
            models.Index(fields=["transaction_type", "-created_at"], name="ledger_type_idx"),
            # staff: everybody's entries
            models.Index(fields=["-created_at", "-id"], name="ledger_created_idx"),
            # search by the document's number or its beginning
            models.Index(
                OpClass("reference", name="varchar_pattern_ops"), name="ledger_reference_idx"
            ),
        ]

    def __str__(self) -> str:
        return self.entry_number


class CreditScore(models.Model):
    """One scoring of a retailer, 300-900, with everything needed to compute it again.

    `inputs` are the facts (credit.scoring.Facts), `components` the points by factor; `cap` is the most
    that the shop could have then and `reason` why, NULL and empty without one.
    """

    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="scores", db_index=False)
    score = models.SmallIntegerField()
    version = models.CharField(max_length=8)
    inputs = models.JSONField()
    components = models.JSONField()
    is_provisional = models.BooleanField(db_default=False, default=False)
    cap = models.SmallIntegerField(null=True, blank=True)
    reason = models.CharField(max_length=300, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "credit_scores"
        constraints = [
            models.CheckConstraint(condition=Q(score__range=(300, 900)), name="credit_score_range"),
        ]
        indexes = [
            # a retailer's history
            models.Index(fields=["retailer", "-created_at"], name="credit_score_retailer_idx"),
            # the hourly risk review: whose score changed since the last
            models.Index(fields=["-created_at"], name="credit_score_created_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.score} ({self.version})"

    @property
    def band(self) -> str:
        return band(self.score)


class LimitChange(models.Model):
    """A change of a credit limit (NPR): of one account, or of the platform's limit when `account` is NULL.

    A rise above the threshold waits for a second person. `is_automatic`: the score's band suggested it.
    """

    retailer = models.ForeignKey(Retailer, models.PROTECT, related_name="limit_changes")
    account = models.ForeignKey(
        CreditAccount, models.PROTECT, null=True, blank=True, related_name="limit_changes"
    )
    old_limit = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    new_limit = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    reason = models.CharField(max_length=300)
    state = models.CharField(max_length=8, choices=RequestState, default=RequestState.PENDING)
    requested_by = models.ForeignKey(User, models.PROTECT, null=True, related_name="+")
    decided_by = models.ForeignKey(User, models.PROTECT, null=True, blank=True, related_name="+")
    needs_second_person = models.BooleanField(default=False)
    is_automatic = models.BooleanField(db_default=False, default=False)
    created_at = models.DateTimeField(db_default=Now())
    decided_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "credit_limit_changes"
        constraints = [
            models.UniqueConstraint(
                fields=["retailer", "account"],
                condition=Q(state=RequestState.PENDING),
                nulls_distinct=False,
                name="limit_change_pending_once",
            ),
            models.CheckConstraint(
                condition=Q(needs_second_person=False)
                | Q(decided_by__isnull=True)
                | ~Q(decided_by=F("requested_by")),
                name="limit_change_second_person",
            ),
            models.CheckConstraint(condition=~Q(reason=""), name="limit_change_has_reason"),
        ]

    def __str__(self) -> str:
        return f"limit change {self.pk}"


class CreditApproval(models.Model):
    """The credit desk's leave to exceed limits once, by one order of at most `amount` NPR.

    The limit triggers look for an unused approval; `used_for` names what used it up.
    """

    account = models.ForeignKey(CreditAccount, models.PROTECT, related_name="approvals")
    amount = models.DecimalField(max_digits=14, decimal_places=2)
    reason = models.CharField(max_length=300)
    approved_by = models.ForeignKey(User, models.PROTECT, related_name="+")
    used_for = models.CharField(max_length=40, unique=True, null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "credit_approvals"
        constraints = [
            models.CheckConstraint(condition=Q(amount__gt=0), name="credit_approval_positive"),
            models.CheckConstraint(condition=~Q(reason=""), name="credit_approval_has_reason"),
        ]

    def __str__(self) -> str:
        return f"approval {self.pk}"
