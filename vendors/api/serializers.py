"""Products, offers and vendors as the API shows and reads them. Prices are NPR without VAT."""

from decimal import Decimal
from typing import Any

from django.db.models import F, OuterRef, Subquery
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from khaacho.api.json_rows import projection
from khaacho.api.serializers import (
    CharField,
    IdField,
    IntegerField,
    ModelSerializer,
    MoneyField,
    Serializer,
)
from vendors.models import Product, Vendor, VendorProduct

MAX_STOCK = 2**31 - 1
MAX_ROWS = 500
AVAILABLE = {"available": lambda: F("stock") - F("reserved")}


class BestOfferSerializer(ModelSerializer[VendorProduct]):
    """`available` is packs that no order has reserved."""

    vendor_name = CharField(source="vendor.business_name")
    price = MoneyField(source="vendor_price")
    available = IntegerField()
    sql_fields = AVAILABLE

    class Meta:
        model = VendorProduct
        fields = ["id", "vendor_id", "vendor_name", "price", "available"]


def _best_offer() -> Subquery:
    """Return the JSON of the offer that `selectors.catalogue` chose for each product."""
    chosen = VendorProduct.objects.filter(pk=OuterRef("best_offer_id"))
    return Subquery(chosen.values_list(projection(BestOfferSerializer(), VendorProduct)))


class ProductSerializer(ModelSerializer[Product]):
    best_offer = serializers.SerializerMethodField()
    sql_fields = {"best_offer": _best_offer}

    class Meta:
        model = Product
        fields = [
            "id",
            "sku",
            "name",
            "name_ne",
            "brand",
            "category",
            "sub_category",
            "unit",
            "pack_size",
            "tax_rate",
            "min_quantity",
            "max_quantity",
            "best_offer",
        ]

    @extend_schema_field(BestOfferSerializer(allow_null=True))
    def get_best_offer(self, product: Any) -> dict[str, Any] | None:
        offers = product.best_offers
        return BestOfferSerializer(offers[0]).data if offers else None


class OfferSerializer(ModelSerializer[VendorProduct]):
    """A product at one vendor, to buy."""

    product_name = CharField(source="product.name")
    product_name_ne = CharField(source="product.name_ne")
    sku = CharField(source="product.sku")
    category = CharField(source="product.category")
    unit = CharField(source="product.unit")
    vendor_name = CharField(source="vendor.business_name")
    vendor_rating = serializers.DecimalField(source="vendor.rating", max_digits=3, decimal_places=2)
    price = MoneyField(source="vendor_price")
    tax_rate = serializers.DecimalField(source="product.tax_rate", max_digits=4, decimal_places=2)
    available = IntegerField()
    sql_fields = AVAILABLE

    class Meta:
        model = VendorProduct
        fields = [
            "id",
            "product_id",
            "product_name",
            "product_name_ne",
            "sku",
            "category",
            "unit",
            "vendor_id",
            "vendor_name",
            "vendor_rating",
            "price",
            "tax_rate",
            "available",
        ]


class VendorSerializer(ModelSerializer[Vendor]):
    class Meta:
        model = Vendor
        fields = [
            "id",
            "code",
            "business_name",
            "business_name_ne",
            "municipality",
            "district",
            "province",
            "rating",
        ]


class OwnOfferSerializer(ModelSerializer[VendorProduct]):
    """A vendor's own offer: packs on hand, promised to orders, and free."""

    product_name = CharField(source="product.name")
    sku = CharField(source="product.sku")
    category = CharField(source="product.category")
    price = MoneyField(source="vendor_price")
    available = IntegerField()
    sql_fields = AVAILABLE

    class Meta:
        model = VendorProduct
        fields = [
            "id",
            "product_id",
            "product_name",
            "sku",
            "category",
            "price",
            "stock",
            "reserved",
            "available",
            "is_available",
            "created_at",
            "updated_at",
        ]


class PriceField(MoneyField):
    """A price in NPR, above zero."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"min_value": Decimal("0.01"), "source": "vendor_price", **options})


class OfferCreateSerializer(Serializer):
    product_id = IdField()
    price = PriceField()
    stock = IntegerField(min_value=0, max_value=MAX_STOCK, default=0)
    is_available = serializers.BooleanField(default=True)


class OfferChangeSerializer(Serializer):
    """Either `stock`, the packs on hand, or `stock_delta`, which loses no sale made meanwhile."""

    price = PriceField(required=False)
    stock = IntegerField(min_value=0, max_value=MAX_STOCK, required=False)
    stock_delta = IntegerField(min_value=-MAX_STOCK, max_value=MAX_STOCK, required=False)
    is_available = serializers.BooleanField(required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if {"stock", "stock_delta"} <= attrs.keys():
            raise serializers.ValidationError(
                {"stock_delta": ["Give either stock or stock_delta."]}
            )
        return attrs


class OfferRowSerializer(OfferChangeSerializer):
    """One row of a price list: a new offer needs a price, a known one changes in what is given."""

    product_id = IdField()


@extend_schema_field(OfferRowSerializer(many=True))
class RowsField(serializers.ListField):
    """Rows as they came, 1 to 500; each is judged by itself."""

    def __init__(self, **options: Any) -> None:
        limits = {"child": serializers.JSONField(), "min_length": 1, "max_length": MAX_ROWS}
        super().__init__(**{**limits, **options})


class PriceListSerializer(Serializer):
    items = RowsField()


class RowResultSerializer(Serializer):
    """What became of row `index` (from 0): `outcome` is created, updated or refused."""

    index = IntegerField()
    product_id = IntegerField(allow_null=True)
    outcome = serializers.ChoiceField(choices=["created", "updated", "refused"])
    offer_id = IntegerField(allow_null=True)
    price = MoneyField(source="vendor_price", allow_null=True)
    stock = IntegerField(allow_null=True)
    code = CharField()
    detail = CharField()
    errors = serializers.DictField(child=serializers.ListField(child=serializers.CharField()))  # type: ignore[assignment]


class PriceListResultSerializer(Serializer):
    created = IntegerField()
    updated = IntegerField()
    refused = IntegerField()
    results = RowResultSerializer(many=True)
