"""Payments as the API shows and reads them. Amounts are NPR."""

from decimal import Decimal

from rest_framework import serializers

from khaacho.api.serializers import (
    CharField,
    IdField,
    ModelSerializer,
    MoneyField,
    Serializer,
)
from payments.enums import PaymentMethod, PaymentState
from payments.models import Payment, PaymentAllocation

PAISA = Decimal("0.01")
MAX_ALLOCATIONS = 500


class AllocationRequestSerializer(Serializer):
    order_id = IdField()
    amount = MoneyField(min_value=PAISA)


class PaymentRequestSerializer(Serializer):
    """Without `allocations` the oldest dues are paid first; the rest stays as credit.

    A vendor records what it received; staff name the vendor too. `transaction_id` is the bank's or
    the wallet's own, and is taken once per method.
    """

    retailer_id = IdField()
    vendor_id = IdField(required=False)
    amount = MoneyField(min_value=PAISA)
    method = serializers.ChoiceField(choices=PaymentMethod.choices)
    reference = CharField(max_length=80, required=False, allow_blank=True)
    transaction_id = CharField(max_length=80, required=False, allow_null=True)
    allocations = serializers.ListField(
        child=AllocationRequestSerializer(), required=False, max_length=MAX_ALLOCATIONS
    )


class ReversalSerializer(Serializer):
    """`bounced`: a cheque that came back."""

    reason = CharField(max_length=300)
    bounced = serializers.BooleanField(default=False)


class AllocationSerializer(ModelSerializer[PaymentAllocation]):
    order_number = CharField(source="order.order_number")

    class Meta:
        model = PaymentAllocation
        fields = ["order_id", "order_number", "amount", "created_at", "reversed_at"]


class PaymentRowSerializer(ModelSerializer[Payment]):
    status = serializers.ChoiceField(source="payment_status", choices=PaymentState.choices)
    retailer_name = CharField(source="retailer.shop_name")
    vendor_name = CharField(source="vendor.business_name")

    class Meta:
        model = Payment
        fields = [
            "id",
            "payment_number",
            "status",
            "retailer_id",
            "retailer_name",
            "vendor_id",
            "vendor_name",
            "amount",
            "allocated_amount",
            "method",
            "reference",
            "created_at",
        ]


class PaymentSerializer(PaymentRowSerializer):
    """`unallocated_amount` stays as credit on the account."""

    unallocated_amount = MoneyField(max_digits=16)
    allocations = AllocationSerializer(many=True)

    class Meta(PaymentRowSerializer.Meta):
        fields = [
            *PaymentRowSerializer.Meta.fields,
            "unallocated_amount",
            "transaction_id",
            "allocations",
            "bounced",
            "reversal_reason",
            "reversed_at",
        ]
