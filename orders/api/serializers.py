"""Orders, quotes and dues as the API shows and reads them. Amounts are NPR, quantities packs."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from credit.models import CreditAccount
from credit.scoring import BAND_NAMES
from credit.selectors import available
from khaacho.actors import Actor
from khaacho.api.serializers import (
    CharField,
    IdField,
    IntegerField,
    ModelSerializer,
    MoneyField,
    Serializer,
)
from khaacho.money import ZERO
from orders.enums import PaymentTerms
from orders.models import Order, OrderItem, OrderStatusLog
from orders.selectors import Ageing, Basket, CreditSummary
from orders.services.requests import MAX_LINES


class LineSerializer(Serializer):
    product_id = IdField()
    quantity = IntegerField(min_value=1, max_value=2**31 - 1)


class OrderRequestSerializer(Serializer):
    """Without `vendor_id` the platform chooses. `retailer_id` is for staff, who order for a shop."""

    retailer_id = IdField(required=False, help_text="staff only")
    vendor_id = IdField(required=False, allow_null=True, default=None)
    items = serializers.ListField(child=LineSerializer(), min_length=1, max_length=MAX_LINES)
    payment_terms = serializers.ChoiceField(choices=PaymentTerms.choices)
    notes = CharField(max_length=500, required=False, allow_blank=True, default="")


class ReasonSerializer(Serializer):
    reason = CharField(max_length=300)


class ItemSerializer(ModelSerializer[OrderItem]):
    """`line_total` is without VAT."""

    class Meta:
        model = OrderItem
        fields = [
            "product_id",
            "product_name",
            "sku",
            "quantity",
            "unit_price",
            "tax_rate",
            "tax_amount",
            "line_total",
        ]


class OrderRowSerializer(ModelSerializer[Order]):
    class Meta:
        model = Order
        fields = [
            "id",
            "order_number",
            "status",
            "payment_status",
            "total",
            "due_amount",
            "created_at",
        ]


class OrderSerializer(ModelSerializer[Order]):
    retailer_name = CharField(source="retailer.shop_name")
    vendor_name = CharField(source="vendor.business_name")
    items = ItemSerializer(many=True)

    class Meta:
        model = Order
        fields = [
            "id",
            "order_number",
            "status",
            "payment_status",
            "payment_terms",
            "retailer_id",
            "retailer_name",
            "vendor_id",
            "vendor_name",
            "subtotal",
            "tax_amount",
            "total",
            "paid_amount",
            "due_amount",
            "due_date",
            "invoice_number",
            "notes",
            "cancel_reason",
            "items",
            "created_at",
            "accepted_at",
            "packed_at",
            "dispatched_at",
            "out_for_delivery_at",
            "delivered_at",
            "completed_at",
            "cancelled_at",
        ]


class ForwardedSerializer(ModelSerializer[Order]):
    """A rejected order that another vendor was asked to take: no longer this vendor's to read."""

    class Meta:
        model = Order
        fields = ["id", "order_number", "status"]


class HistorySerializer(ModelSerializer[OrderStatusLog]):
    """Who moved the order; the system has no role. Another vendor's person stays unnamed."""

    actor_name = serializers.SerializerMethodField()
    actor_role = CharField(source="actor.role", allow_null=True, default=None)
    reason = serializers.SerializerMethodField()

    class Meta:
        model = OrderStatusLog
        fields = [
            "sequence",
            "from_status",
            "to_status",
            "actor_name",
            "actor_role",
            "reason",
            "created_at",
        ]

    def get_actor_name(self, log: OrderStatusLog) -> str:
        if log.actor is None:
            return "system"
        return "" if self._is_of_another_vendor(log) else log.actor.name

    def get_reason(self, log: OrderStatusLog) -> str:
        return "" if self._is_of_another_vendor(log) else log.reason

    def _is_of_another_vendor(self, log: OrderStatusLog) -> bool:
        viewer: Actor = self.context["request"].user
        if viewer.vendor_id is None or log.actor is None:
            return False
        return log.actor.role == viewer.role and log.actor_id != viewer.user_id


class QuoteLineSerializer(Serializer):
    """A wanted line at the vendor chosen; `available` is packs that no order has reserved."""

    product_id = IntegerField()
    product_name = CharField()
    sku = CharField()
    quantity = IntegerField()
    available = IntegerField()
    unit_price = MoneyField()
    tax_rate = serializers.DecimalField(max_digits=4, decimal_places=2)
    tax_amount = MoneyField(source="amounts.tax", max_digits=24)
    line_total = MoneyField(source="amounts.net", max_digits=24)


class QuoteSerializer(Serializer):
    """What the order would be now. Nothing is stored, and nothing reserved.

    `refusals` are the problems that an order would be answered with, each with its `code` and numbers.
    """

    is_acceptable = serializers.SerializerMethodField()
    vendor_id = serializers.SerializerMethodField()
    subtotal = serializers.SerializerMethodField()
    tax_amount = serializers.SerializerMethodField()
    total = serializers.SerializerMethodField()
    items = serializers.SerializerMethodField()
    credit_available = MoneyField(source="standing.available", max_digits=16)
    refusals = serializers.SerializerMethodField()

    def get_is_acceptable(self, quote: Any) -> bool:
        return quote.basket is not None and not quote.refusals

    def get_vendor_id(self, quote: Any) -> int | None:
        return quote.basket.vendor_id if quote.basket else None

    def get_subtotal(self, quote: Any) -> str | None:
        return str(quote.basket.subtotal) if quote.basket else None

    def get_tax_amount(self, quote: Any) -> str | None:
        return str(quote.basket.tax_amount) if quote.basket else None

    def get_total(self, quote: Any) -> str | None:
        return str(quote.basket.total) if quote.basket else None

    @extend_schema_field(QuoteLineSerializer(many=True))
    def get_items(self, quote: Any) -> Any:
        basket: Basket | None = quote.basket
        return QuoteLineSerializer(basket.lines if basket else (), many=True).data

    @extend_schema_field({"type": "array", "items": {"type": "object"}})
    def get_refusals(self, quote: Any) -> list[dict[str, Any]]:
        return [
            {**refusal.extra, "code": refusal.code, "detail": refusal.message}
            for refusal in quote.refusals
        ]


class AccountSerializer(ModelSerializer[CreditAccount]):
    """The shop's account with one vendor; without a `credit_limit` only the platform's applies."""

    vendor_name = CharField(source="vendor.business_name")
    available = serializers.SerializerMethodField()
    overdue = serializers.SerializerMethodField()

    class Meta:
        model = CreditAccount
        fields = [
            "id",
            "vendor_id",
            "vendor_name",
            "balance",
            "reserved",
            "credit_limit",
            "available",
            "overdue",
            "payment_terms_days",
            "is_frozen",
        ]

    @extend_schema_field(MoneyField(max_digits=16, allow_null=True))
    def get_available(self, account: CreditAccount) -> str | None:
        if account.credit_limit is None:
            return None
        return str(available(account.credit_limit, account.balance, account.reserved))

    @extend_schema_field(MoneyField(max_digits=16))
    def get_overdue(self, account: CreditAccount) -> str:
        return str(self.context["overdue"].get(account.vendor_id, ZERO))


class CreditSummarySerializer(Serializer):
    """`outstanding` is what was delivered and not paid, `reserved` what open orders will add to it."""

    credit_score = IntegerField(source="retailer.credit_score")
    band = serializers.ChoiceField(choices=BAND_NAMES)
    credit_limit = MoneyField(source="retailer.credit_limit", max_digits=16)
    outstanding = MoneyField(source="retailer.outstanding_debt", max_digits=16)
    reserved = MoneyField(source="retailer.reserved_credit", max_digits=16)
    available = MoneyField(max_digits=16)
    overdue = MoneyField(max_digits=16)
    on_hold = serializers.BooleanField(help_text="new orders on credit are refused, cash is not")
    hold_reason = CharField(allow_blank=True)
    accounts = serializers.SerializerMethodField()

    @extend_schema_field(AccountSerializer(many=True))
    def get_accounts(self, summary: CreditSummary) -> Any:
        overdue = {pk: due.amount for pk, due in summary.overdue_by_vendor.items()}
        context = {"overdue": overdue}
        return AccountSerializer(summary.accounts, many=True, context=context).data


class AgeingSerializer(Serializer):
    """Open amounts by days since the due date."""

    not_due = MoneyField(max_digits=16)
    days_0_30 = MoneyField(max_digits=16)
    days_31_60 = MoneyField(max_digits=16)
    days_61_90 = MoneyField(max_digits=16)
    days_over_90 = MoneyField(max_digits=16)


class ReceivableSerializer(ModelSerializer[CreditAccount]):
    """What one shop owes: the ageing's buckets less `unapplied_credit` are the `balance`."""

    retailer_code = CharField(source="retailer.code")
    retailer_name = CharField(source="retailer.shop_name")
    overdue = serializers.SerializerMethodField()
    unapplied_credit = serializers.SerializerMethodField()
    ageing = serializers.SerializerMethodField()

    class Meta:
        model = CreditAccount
        fields = [
            "retailer_id",
            "retailer_code",
            "retailer_name",
            "balance",
            "reserved",
            "credit_limit",
            "overdue",
            "unapplied_credit",
            "ageing",
        ]

    def _aged(self, account: CreditAccount) -> Ageing:
        found: Ageing = self.context["ageing"].get(account.retailer_id, Ageing())
        return found

    @extend_schema_field(MoneyField(max_digits=16))
    def get_overdue(self, account: CreditAccount) -> str:
        return str(self._aged(account).overdue)

    @extend_schema_field(MoneyField(max_digits=16))
    def get_unapplied_credit(self, account: CreditAccount) -> str:
        return str(self._aged(account).total - account.balance)

    @extend_schema_field(AgeingSerializer)
    def get_ageing(self, account: CreditAccount) -> Any:
        return AgeingSerializer(self._aged(account)).data
