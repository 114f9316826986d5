"""Registration, the ledger and statements as the API shows and reads them."""

from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from rest_framework import serializers

from credit.models import CreditLedger, Retailer
from khaacho.api.serializers import (
    CharField,
    IdField,
    IntegerField,
    ModelSerializer,
    MoneyField,
    Serializer,
)
from khaacho.api.views import TokensSerializer
from khaacho.models import User
from khaacho.phones import normalise_phone
from vendors.services import Place

PLACE = ("municipality", "district", "province", "address")


class RegistrationSerializer(Serializer):
    """A shop and the person who runs it. Whatever role is asked for, it becomes a retailer."""

    phone = CharField(max_length=32)
    name = CharField(max_length=120)
    password = CharField(max_length=128, trim_whitespace=False)
    shop_name = CharField(max_length=160)
    municipality = CharField(max_length=80)
    district = CharField(max_length=40)
    province = CharField(max_length=40)
    address = CharField(max_length=200, required=False, allow_blank=True)
    pan_number = serializers.RegexField(r"^[0-9]{9}\Z", required=False, allow_blank=True)

    def validate_phone(self, value: str) -> str:
        number = normalise_phone(value)
        if number is None:
            raise serializers.ValidationError("This is not a phone number.")
        return number

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        person = User(phone=attrs["phone"], name=attrs["name"])
        try:
            validate_password(attrs["password"], person)
        except ValidationError as error:
            raise serializers.ValidationError({"password": list(error.messages)}) from None
        place = Place(**{name: attrs.pop(name) for name in PLACE if name in attrs})
        return {**attrs, "place": place}


class RetailerSerializer(ModelSerializer[Retailer]):
    class Meta:
        model = Retailer
        fields = [
            "id",
            "code",
            "shop_name",
            "municipality",
            "district",
            "province",
            "is_approved",
            "created_at",
        ]


class RegisteredSerializer(TokensSerializer):
    """The new shop, and tokens with which its owner is signed in."""

    retailer = RetailerSerializer()


class EntrySerializer(ModelSerializer[CreditLedger]):
    """`amount` is positive when the retailer owes more; `running_balance` is the account's after it."""

    retailer_name = CharField(source="retailer.shop_name")
    vendor_name = CharField(source="vendor.business_name")

    class Meta:
        model = CreditLedger
        fields = [
            "id",
            "entry_number",
            "account_id",
            "retailer_id",
            "retailer_name",
            "vendor_id",
            "vendor_name",
            "sequence",
            "transaction_type",
            "amount",
            "running_balance",
            "reference",
            "due_date",
            "note",
            "created_at",
        ]


class StatementEntrySerializer(EntrySerializer):
    """`balance` is over all accounts of the statement."""

    balance = MoneyField(max_digits=16)

    class Meta(EntrySerializer.Meta):
        fields = [*EntrySerializer.Meta.fields, "balance"]


class StatementSerializer(Serializer):
    retailer_id = IdField(source="retailer.pk")
    retailer_code = CharField(source="retailer.code")
    retailer_name = CharField(source="retailer.shop_name")
    vendor_id = IntegerField(allow_null=True)
    opening_balance = MoneyField(max_digits=16)
    total_debits = MoneyField(max_digits=16)
    total_credits = MoneyField(max_digits=16)
    closing_balance = MoneyField(max_digits=16)
    entries = StatementEntrySerializer(many=True)

    def get_fields(self) -> Any:
        period = {
            "from": serializers.DateField(source="start"),
            "to": serializers.DateField(source="end"),
        }
        return {**super().get_fields(), **period}
