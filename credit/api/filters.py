from typing import ClassVar

from django.db.models import Q, QuerySet
from django_filters import filters
from django_filters.rest_framework import FilterSet

from credit.enums import EntryType
from credit.models import CreditLedger
from khaacho import finding
from khaacho.api.filters import IdFilter, InstantFilter, TextFilter

DOCUMENTS = ("ORD", "PAY")  # whose numbers entries refer to


class LedgerFilter(FilterSet):  # type: ignore[misc]
    retailer_id = IdFilter()
    vendor_id = IdFilter()
    transaction_type = filters.MultipleChoiceFilter(choices=EntryType.choices, distinct=False)
    created_after = InstantFilter(field_name="created_at", lookup_expr="gte")
    created_before = InstantFilter(field_name="created_at", lookup_expr="lt")
    search = TextFilter(
        method="by_number",
        label="Number of the entry, order or payment, or its beginning; digits alone mean this year's"
        " and the last's",
    )

    class Meta:
        model = CreditLedger
        fields: ClassVar[list[str]] = []

    def by_number(
        self, entries: QuerySet[CreditLedger], name: str, text: str
    ) -> QuerySet[CreditLedger]:
        typed = text.strip()
        if typed.isascii() and typed.isdecimal():
            numbers = [
                number
                for prefix in ("LED", *DOCUMENTS)
                for number in finding.candidates(prefix, typed)
            ]
            return entries.filter(Q(entry_number__in=numbers) | Q(reference__in=numbers))
        entry = finding.number("entry_number", "LED", typed) or Q(pk__in=[])
        return entries.filter(entry | Q(reference__startswith=typed.upper()))
