"""Accounts, their ledger and scores: read, but for limits, terms and freezing."""

from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin

from credit import services
from credit.admin.limits import LARGE_RISE, LimitForm
from credit.models import (
    CreditAccount,
    CreditLedger,
    CreditScore,
    LimitChange,
)
from khaacho.actors import Actor
from khaacho.adminsite import (
    KhaachoModelAdmin,
    Panel,
    Verb,
    beginning,
    by_code,
    by_number,
    by_phone,
    computed,
    exactly,
    npr,
    pretty,
    sections,
)
from khaacho.adminsite.columns import EMPTY
from khaacho.adminsite.forms import NprField, ReasonForm
from khaacho.money import format_npr


class AccountLimitForm(LimitForm):
    new_limit = NprField(
        label="New limit (NPR)",
        min_value=Decimal(0),
        required=False,
        help_text="Empty: only the platform's limit applies.",
    )


class TermsForm(forms.Form):
    payment_terms_days = forms.IntegerField(min_value=0, max_value=180, label="Days to pay")


def _change_account_limit(
    account: CreditAccount, fields: dict[str, Any], actor: Actor
) -> LimitChange:
    return services.change_limit(
        retailer_id=account.retailer_id,
        vendor_id=account.vendor_id,
        new_limit=fields["new_limit"],
        reason=fields["reason"],
        actor=actor,
    )


@computed("available")
def _account_available(account: CreditAccount) -> str:
    if account.credit_limit is None:
        return EMPTY
    return format_npr(account.credit_limit - account.balance - account.reserved)


ACCOUNT_VERBS = (
    Verb(
        name="change_account_limit",
        label="Change limit",
        permission="credit.change_account_limit",
        run=_change_account_limit,
        effect=LARGE_RISE,
        done="The change of the account's limit is recorded; see its limit changes.",
        form=AccountLimitForm,
        initial=lambda account: {"new_limit": account.credit_limit},
    ),
    Verb(
        name="change_terms",
        label="Change terms",
        permission="credit.change_terms",
        run=lambda account, fields, actor: services.change_terms(
            account_id=account.pk, payment_terms_days=fields["payment_terms_days"], actor=actor
        ),
        effect="Orders delivered from now on are due after so many days; invoices stay as they are.",
        done="The account's terms are changed.",
        form=TermsForm,
        initial=lambda account: {"payment_terms_days": account.payment_terms_days},
    ),
    Verb(
        name="freeze_account",
        label="Freeze",
        permission="credit.freeze_account",
        run=lambda account, fields, actor: services.freeze_account(
            account_id=account.pk, reason=fields["reason"], actor=actor
        ),
        effect="The account makes no new credit; payments and deliveries go on.",
        done="The account is frozen.",
        form=ReasonForm,
        hindrance=lambda account: "it is frozen already" if account.is_frozen else "",
        bulk=True,
        is_grave=True,
    ),
    Verb(
        name="unfreeze_account",
        label="Unfreeze",
        permission="credit.unfreeze_account",
        run=lambda account, fields, actor: services.unfreeze_account(
            account_id=account.pk, reason=fields["reason"], actor=actor
        ),
        effect="The account makes new credit again, within its limits.",
        done="The account is no longer frozen.",
        form=ReasonForm,
        hindrance=lambda account: "" if account.is_frozen else "it is not frozen",
        bulk=True,
    ),
)


@admin.register(CreditAccount)
class CreditAccountAdmin(KhaachoModelAdmin):
    entity_type = "credit_account"
    list_display = (
        "id",
        "retailer",
        "vendor",
        npr("balance"),
        npr("reserved"),
        npr("credit_limit"),
        "payment_terms_days",
        "is_frozen",
    )
    list_select_related = ("retailer", "vendor")
    list_filter = ("is_frozen",)
    searches = (
        by_code("retailer__code", "RTL", "retailer"),
        by_code("vendor__code", "VND", "vendor"),
        by_phone("retailer__user__phone"),
    )
    fieldsets = sections(
        (None, ("retailer", "vendor", "payment_terms_days")),
        (
            "Credit",
            (
                npr("balance"),
                npr("reserved"),
                npr("credit_limit"),
                _account_available,
            ),
        ),
        ("Freeze", ("is_frozen", "frozen_reason")),
        ("Ledger", ("last_sequence", "last_hash", "created_at")),
    )
    verbs = ACCOUNT_VERBS
    panels = (
        Panel(
            title="Ledger",
            model=CreditLedger,
            rows=lambda account: CreditLedger.objects.filter(account=account).order_by("-sequence"),
            columns=(
                "entry_number",
                "created_at",
                "transaction_type",
                "reference",
                npr("amount"),
                npr("running_balance"),
                "due_date",
            ),
            more="account__id__exact",
        ),
        Panel(
            title="Limit changes",
            model=LimitChange,
            rows=lambda account: (
                LimitChange.objects.filter(account=account)
                .select_related("requested_by", "decided_by")
                .order_by("-pk")
            ),
            columns=(
                "created_at",
                npr("old_limit"),
                npr("new_limit"),
                "state",
                "requested_by",
                "decided_by",
            ),
            more="account__id__exact",
            limit=10,
        ),
    )


@admin.register(CreditLedger)
class CreditLedgerAdmin(KhaachoModelAdmin):
    list_display = (
        "entry_number",
        "created_at",
        "retailer",
        "vendor",
        "transaction_type",
        "reference",
        npr("amount"),
        npr("running_balance"),
        "due_date",
    )
    list_select_related = ("retailer", "vendor")
    list_filter = ("transaction_type",)
    ordering_when = {
        "account__id__exact": ("-sequence",),
        "retailer__id__exact": ("-created_at",),
        "vendor__id__exact": ("-created_at",),
        "transaction_type__exact": ("-created_at",),
    }
    searches = (
        by_number("entry_number", "LED"),
        by_code("retailer__code", "RTL", "retailer"),
        by_code("vendor__code", "VND", "vendor"),
        exactly("key", "key (order:42:debit)", r"[a-z]+:\d+:[a-z]+"),
        beginning("reference", "number of the order or payment", r"(?i:(ORD|PAY)-[0-9-]*)"),
    )
    fieldsets = sections(
        (
            None,
            (
                "entry_number",
                "created_at",
                "retailer",
                "vendor",
                "account",
                "sequence",
            ),
        ),
        (
            "Entry",
            (
                "transaction_type",
                npr("previous_balance"),
                npr("amount"),
                npr("running_balance"),
                "reference",
                "due_date",
                "reverses",
                "note",
                "actor",
            ),
        ),
        ("Proof", ("key", "previous_hash", "hash")),
    )


@admin.register(CreditScore)
class CreditScoreAdmin(KhaachoModelAdmin):
    list_display = (
        "created_at",
        "retailer",
        "score",
        "band",
        "is_provisional",
        "cap",
        "version",
        "reason",
    )
    list_select_related = ("retailer",)
    deferred = ("inputs", "components")
    ordering_when = {"retailer__id__exact": ("-created_at",)}
    searches = (by_code("retailer__code", "RTL", "retailer"),)
    fieldsets = sections(
        (None, ("created_at", "retailer", ("score", "band", "version"))),
        ("Cap", ("is_provisional", "cap", "reason")),
        ("Explanation", (pretty("components"), pretty("inputs"))),
    )
