from typing import ClassVar

from django.db.models import Q, QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from credit.enums import EntryType
from credit.models import CreditLedger
from khaacho.api.filters import IdFilter, InstantFilter, TextFilter


class LedgerFilter(FilterSet):  # type: ignore[misc]
    retailer_id = IdFilter()
    vendor_id = IdFilter()
    transaction_type = filters.MultipleChoiceFilter(choices=EntryType.choices, distinct=False)
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")
    search = TextFilter(method="by_number", label="Number of the entry or of its document")

    class Meta:
        model = CreditLedger
        fields: ClassVar[list[str]] = []

    def by_number(
        self, entries: QuerySet[CreditLedger], name: str, text: str
    ) -> QuerySet[CreditLedger]:
        return entries.filter(Q(reference__icontains=text) | Q(entry_number__icontains=text))
