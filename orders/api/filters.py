from typing import ClassVar

from django.db.models import QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from credit import selectors as credit
from credit.models import CreditAccount
from khaacho import finding
from khaacho.api.filters import IdFilter, InstantFilter, TextFilter
from orders.enums import OrderStatus, PaymentStatus
from orders.models import Order


class OrderFilter(FilterSet):  # type: ignore[misc]
    status = filters.MultipleChoiceFilter(choices=OrderStatus.choices, distinct=False)
    payment_status = filters.MultipleChoiceFilter(choices=PaymentStatus.choices, distinct=False)
    vendor_id = IdFilter()
    retailer_id = IdFilter()
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")
    search = TextFilter(
        method="by_number",
        label="The order's number or its beginning; its digits alone mean this year's and the last's",
    )

    class Meta:
        model = Order
        fields: ClassVar[list[str]] = []

    def by_number(self, orders: QuerySet[Order], name: str, text: str) -> QuerySet[Order]:
        number = finding.number("order_number", "ORD", text)
        return orders.none() if number is None else orders.filter(number)


class ReceivableFilter(FilterSet):  # type: ignore[misc]
    search = TextFilter(
        method="by_shop", label="Words of the shop's or owner's name, the code or the phone"
    )

    class Meta:
        model = CreditAccount
        fields: ClassVar[list[str]] = []

    def by_shop(
        self, accounts: QuerySet[CreditAccount], name: str, text: str
    ) -> QuerySet[CreditAccount]:
        return accounts.filter(retailer__in=credit.retailers_like(text))
