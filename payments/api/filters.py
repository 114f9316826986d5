from typing import ClassVar

from django.db.models import Q, QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from khaacho import finding
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
    search = TextFilter(
        method="by_number",
        label="The payment's number or its beginning, digits alone meaning this year's and the last's;"
        " words of the reference; the whole transaction id",
    )

    class Meta:
        model = Payment
        fields: ClassVar[list[str]] = []

    def by_number(self, payments: QuerySet[Payment], name: str, text: str) -> QuerySet[Payment]:
        typed = text.strip()
        found = finding.words("reference", typed)
        found |= Q(transaction_id=typed, method__in=PaymentMethod.values)
        number = finding.number("payment_number", "PAY", typed)
        return payments.filter(found if number is None else found | number)
