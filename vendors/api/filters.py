from decimal import Decimal
from typing import Any, ClassVar

from django.db.models import QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from khaacho.api.authentication import caller
from khaacho.api.filters import IdFilter, TextFilter
from vendors import search, selectors
from vendors.models import OfferQuerySet, Product, Vendor, VendorProduct
from vendors.selectors import OfferWish

PRICES = {"min_value": 0, "max_value": Decimal("9999999999.99")}


class ProductFilter(FilterSet):  # type: ignore[misc]
    """`vendor`, `available` and the prices are about one offer: a product shows that has such a one."""

    search = TextFilter(
        label="Words in English, Nepali or romanised, a brand or SKU, half typed or mistyped; best match first"
    )
    category = TextFilter()
    sub_category = TextFilter()
    brand = TextFilter()
    vendor = IdFilter(label="Offered by this vendor")
    available = filters.BooleanFilter(label="Offered and in stock")
    min_price = filters.NumberFilter(label="NPR without VAT", **PRICES)
    max_price = filters.NumberFilter(label="NPR without VAT", **PRICES)

    class Meta:
        model = Product
        fields: ClassVar[list[str]] = []

    def filter_queryset(self, queryset: QuerySet[Product]) -> QuerySet[Product]:
        given = self.form.cleaned_data
        wish = OfferWish(
            vendor_id=given["vendor"] and int(given["vendor"]),
            in_stock=given["available"],
            min_price=given["min_price"],
            max_price=given["max_price"],
        )
        products = selectors.catalogue(wish)
        for name in ("category", "sub_category", "brand"):
            products = self.filters[name].filter(products, given[name])
        return search.found(products, given["search"]) if given["search"] else products


class VendorFilter(FilterSet):  # type: ignore[misc]
    search = TextFilter(
        method="by_name",
        label="Words of the name, English or Nepali, or the code; for staff the owner's name or phone too",
    )
    province = TextFilter(lookup_expr="iexact")
    district = TextFilter(lookup_expr="iexact")
    municipality = TextFilter(lookup_expr="iexact")

    class Meta:
        model = Vendor
        fields: ClassVar[list[str]] = []

    def by_name(self, vendors: QuerySet[Vendor], name: str, text: str) -> QuerySet[Vendor]:
        by_person = caller(self.request).is_staff
        return vendors.filter(pk__in=selectors.vendors_like(text, by_person=by_person))


class OfferFilter(FilterSet):  # type: ignore[misc]
    search = TextFilter(
        method="by_product", label="Words of the product as in the catalogue's search, or its SKU"
    )
    category = TextFilter(field_name="product__category")
    available = filters.BooleanFilter(method="by_stock", label="In stock")

    class Meta:
        model = VendorProduct
        fields: ClassVar[list[str]] = []

    def by_product(self, offers: OfferQuerySet, name: str, text: str) -> OfferQuerySet:
        return offers.filter(product__in=search.found(Product.objects.all(), text).values("pk"))

    def by_stock(self, offers: OfferQuerySet, name: str, wanted: Any) -> OfferQuerySet:
        return offers.in_stock() if wanted else offers.sold_out()


class OwnOfferFilter(OfferFilter):
    is_available = filters.BooleanFilter()
