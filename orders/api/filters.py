import re
from typing import ClassVar

from django.db.models import Q, QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from credit.models import CreditAccount
from khaacho.api.filters import IdFilter, InstantFilter, TextFilter
from orders.enums import OrderStatus, PaymentStatus
from orders.models import Order

WHOLE_NUMBER = re.compile(r"ORD-[0-9]{4}-[0-9]{7,}")


class OrderFilter(FilterSet):  # type: ignore[misc]
    status = filters.MultipleChoiceFilter(choices=OrderStatus.choices, distinct=False)
    payment_status = filters.MultipleChoiceFilter(choices=PaymentStatus.choices, distinct=False)
    vendor_id = IdFilter()
    retailer_id = IdFilter()
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")
    search = TextFilter(method="by_number", label="The order's number, or a part of it")

    class Meta:
        model = Order
        fields: ClassVar[list[str]] = []

    def by_number(self, orders: QuerySet[Order], name: str, text: str) -> QuerySet[Order]:
        """A whole number is looked up; a part is searched for in what the actor may see."""
        number = text.strip().upper()
        if WHOLE_NUMBER.fullmatch(number):
            return orders.filter(order_number=number)
        return orders.filter(order_number__contains=number)


class ReceivableFilter(FilterSet):  # type: ignore[misc]
    search = TextFilter(method="by_shop", label="Part of the shop's name, or its code")

    class Meta:
        model = CreditAccount
        fields: ClassVar[list[str]] = []

    def by_shop(
        self, accounts: QuerySet[CreditAccount], name: str, text: str
    ) -> QuerySet[CreditAccount]:
        return accounts.filter(
            Q(retailer__shop_name__icontains=text) | Q(retailer__code__iexact=text)
        )
