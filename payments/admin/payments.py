"""Payments: recorded, reversed, bounced; never edited."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Q, QuerySet

from credit.models import CreditAccount, Retailer
from khaacho import finding
from khaacho.actors import Actor
from khaacho.adminsite import (
    Figure,
    KhaachoModelAdmin,
    Panel,
    Search,
    Verb,
    add_figure,
    add_filter,
    add_panel,
    by_code,
    by_number,
    by_phone,
    exactly,
    narrowed,
    npr,
    sections,
)
from khaacho.adminsite.forms import NprField, ReasonForm, chooser
from khaacho.money import ZERO, format_npr
from orders.models import Order
from orders.selectors import on_hold
from payments import services
from payments.enums import PaymentMethod, PaymentState
from payments.models import Payment, PaymentAllocation
from payments.standing_page import standing
from vendors.models import Vendor

SHOWN = 10  # orders named before a payment is recorded


class PaymentForm(forms.Form):
    retailer = chooser(Payment, "retailer")
    vendor = chooser(Payment, "vendor")
    amount = NprField(label="Amount (NPR)", min_value=Decimal("0.01"))
    method = forms.ChoiceField(choices=PaymentMethod.choices)
    reference = forms.CharField(
        max_length=80, required=False, help_text="Receipt, cheque number, voucher."
    )
    transaction_id = forms.CharField(
        max_length=80,
        required=False,
        label="Transaction id",
        help_text="The bank's or wallet's; the same one is never taken twice.",
    )


def _record(_: None, fields: dict[str, Any], actor: Actor) -> Payment:
    return services.record_payment(
        retailer_id=fields["retailer"].pk,
        vendor_id=fields["vendor"].pk,
        amount=fields["amount"],
        method=PaymentMethod(fields["method"]),
        reference=fields["reference"],
        transaction_id=fields["transaction_id"] or None,
        actor=actor,
    )


def _what_it_pays(_: None, fields: dict[str, Any]) -> Sequence[str]:
    """Say which dues the amount would pay now, oldest first."""
    owing = list(
        Order.objects.filter(retailer=fields["retailer"], vendor=fields["vendor"])
        .owing()
        .order_by("due_date", "created_at", "pk")
    )
    shares = services.divide(fields["amount"], owing)
    by_id = {order.pk: order for order in owing}
    lines = [
        f"{by_id[pk]} (due {by_id[pk].due_date:%Y-%m-%d}, {format_npr(by_id[pk].due_amount)}):"
        f" {format_npr(part)}"
        for pk, part in list(shares.items())[:SHOWN]
    ]
    if len(shares) > SHOWN:
        lines.append(f"and {len(shares) - SHOWN} more orders")
    advance = fields["amount"] - sum(shares.values(), ZERO)
    if advance > 0:
        lines.append(f"Advance on the account: {format_npr(advance)}")
    return lines


def _not_processed(payment: Payment) -> str:
    if payment.payment_status == PaymentState.PROCESSED:
        return ""
    return f"it is {PaymentState(payment.payment_status).label.lower()}"


def _no_cheque(payment: Payment) -> str:
    if hindrance := _not_processed(payment):
        return hindrance
    return "" if payment.method == PaymentMethod.CHEQUE else "it is no cheque"


def _by_reference(term: str) -> Q:
    whole = Q(transaction_id=term, method__in=PaymentMethod.values)
    return whole | finding.words("reference", term)


ALLOCATION_COLUMNS = (npr("amount"), "created_at", "reversed_at")


def _in(state: PaymentState) -> Callable[[QuerySet[Payment]], QuerySet[Payment]]:
    return lambda payments: payments.filter(payment_status=state)


# Nearly all payments are PROCESSED; an index holds the others.
UNUSUAL = {
    state.value: (state.label, _in(state))
    for state in PaymentState
    if state != PaymentState.PROCESSED
}


@admin.register(Payment)
class PaymentAdmin(KhaachoModelAdmin):
    entity_type = "payment"
    list_display = (
        "payment_number",
        "created_at",
        "retailer",
        "vendor",
        npr("amount"),
        npr("allocated_amount", "allocated"),
        "method",
        "payment_status",
        "bounced",
        "reference",
    )
    list_select_related = ("retailer", "vendor")
    list_filter = (
        narrowed("status", "payment_status__exact", **UNUSUAL),
        "method",
        "bounced",
    )
    ordering_when = {"vendor__id__exact": ("-created_at",)}
    sortable_by = ("payment_number",)
    searches = (
        by_number("payment_number", "PAY"),
        by_code("retailer__code", "RTL", "retailer"),
        by_code("vendor__code", "VND", "vendor"),
        by_phone("retailer__user__phone"),
        Search("reference, or transaction id", r"(?s:.+)", _by_reference),
    )
    fieldsets = sections(
        (None, (("payment_number", "payment_status"), ("retailer", "vendor"))),
        (
            "Money",
            (
                (npr("amount"), npr("allocated_amount")),
                ("method", "reference", "transaction_id"),
                ("account", "ledger_entry"),
            ),
        ),
        ("Reversal", ("bounced", "reversal_reason", "reversed_at")),
        ("Receipt", ("received_by", "created_at")),
    )
    verbs = (
        Verb(
            name="reverse_payment",
            label="Reverse",
            permission="payments.reverse_payment",
            run=lambda payment, fields, actor: services.reverse_payment(
                payment_id=payment.pk, reason=fields["reason"], actor=actor
            ),
            effect="A mirror entry takes the payment back; the orders it paid are open again,"
            " with their original due dates.",
            done="{record} is reversed.",
            form=ReasonForm,
            hindrance=_not_processed,
            is_grave=True,
        ),
        Verb(
            name="bounce_cheque",
            label="Cheque bounced",
            permission="payments.bounce_cheque",
            run=lambda payment, fields, actor: services.reverse_payment(
                payment_id=payment.pk, reason=fields["reason"], bounced=True, actor=actor
            ),
            effect="The payment is reversed and the bounce counts against the shop's score.",
            done="{record} is reversed as bounced.",
            form=ReasonForm,
            hindrance=_no_cheque,
            is_grave=True,
        ),
    )
    list_verbs = (
        Verb(
            name="record_payment",
            label="Record payment",
            permission="payments.record_payment",
            run=_record,
            effect="The shop's oldest dues with the vendor are paid first; the rest is an advance.",
            done="{record} is recorded.",
            form=PaymentForm,
            preview=_what_it_pays,
        ),
    )
    panels = (
        Panel(
            title="Allocations",
            model=PaymentAllocation,
            rows=lambda payment: (
                PaymentAllocation.objects.filter(payment=payment)
                .select_related("order")
                .order_by("pk")
            ),
            columns=("order", *ALLOCATION_COLUMNS),
            more="payment__id__exact",
        ),
    )


@admin.register(PaymentAllocation)
class AllocationAdmin(KhaachoModelAdmin):
    list_display = ("id", "payment", "order", npr("amount"), "created_at", "reversed_at")
    list_select_related = ("payment", "order")
    searches = (
        by_number("payment__payment_number", "PAY"),
        exactly("order__order_number", "order number", r"ORD-[\d-]+"),
    )
    fieldsets = sections(
        (None, ("payment", "order", npr("amount"), "created_at", "reversed_at")),
    )


add_panel(
    Order,
    Panel(
        title="Payments",
        model=PaymentAllocation,
        rows=lambda order: (
            PaymentAllocation.objects.filter(order=order).select_related("payment").order_by("-pk")
        ),
        columns=("payment", *ALLOCATION_COLUMNS),
        more="order__id__exact",
    ),
)
PAYMENT_COLUMNS = (
    "payment_number",
    "created_at",
    npr("amount"),
    npr("allocated_amount", "allocated"),
    "method",
    "payment_status",
)
add_panel(
    Retailer,
    Panel(
        title="Payments",
        model=Payment,
        rows=lambda shop: (
            Payment.objects.filter(retailer=shop).select_related("vendor").order_by("-pk")
        ),
        columns=(*PAYMENT_COLUMNS, "vendor"),
        more="retailer__id__exact",
        limit=10,
    ),
)
add_panel(
    CreditAccount,
    Panel(
        title="Payments",
        model=Payment,
        rows=lambda account: Payment.objects.filter(account=account).order_by("-pk"),
        columns=PAYMENT_COLUMNS,
        more="account__id__exact",
        limit=10,
    ),
)
add_panel(
    Vendor,
    Panel(
        title="Receipts",
        model=Payment,
        rows=lambda vendor: (
            Payment.objects.filter(vendor=vendor).select_related("retailer").order_by("-created_at")
        ),
        columns=(*PAYMENT_COLUMNS, "retailer"),
        more="vendor__id__exact",
        limit=10,
    ),
)
add_figure(
    Retailer,
    Figure(
        title="Standing",
        template="payments/standing.html",
        permission="credit.view_creditscore",
        look=standing,
    ),
)
add_filter(Retailer, narrowed("hold", held=("New credit held", on_hold)))
