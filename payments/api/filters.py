from typing import ClassVar

from django.db.models import Q, QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from khaacho.api.filters import IdFilter, InstantFilter, TextFilter
from payments.enums import PaymentMethod, PaymentState
from payments.models import Payment


class PaymentFilter(FilterSet):  # type: ignore[misc]
    status = filters.MultipleChoiceFilter(
        field_name="payment_status", choices=PaymentState.choices, distinct=False
    )
    method = filters.MultipleChoiceFilter(choices=PaymentMethod.choices, distinct=False)
    retailer_id = IdFilter()
    vendor_id = IdFilter()
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")
    search = TextFilter(method="by_number", label="Part of the number or of the reference")

    class Meta:
        model = Payment
        fields: ClassVar[list[str]] = []

    def by_number(self, payments: QuerySet[Payment], name: str, text: str) -> QuerySet[Payment]:
        return payments.filter(
            Q(payment_number__icontains=text)
            | Q(reference__icontains=text)
            | Q(transaction_id=text)
        )
