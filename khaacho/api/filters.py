"""Filters and sorting of lists, by what a view declares.

`filterset_class` (django-filter): an invalid value is a 400 with the errors by parameter; parameters
that no filter knows are ignored. `sort_fields` maps the names that clients may sort by to fields, and
`default_sort` is written as a client would write it: `"-created_at"`.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.utils.dateparse import parse_datetime
from django_filters import filters
from django_filters.rest_framework import DjangoFilterBackend
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request

from khaacho.api.serializers import BIGINT_MAX
from khaacho.exceptions import Invalid

M = TypeVar("M", bound=Model)
R = TypeVar("R")


class FilterBackend(DjangoFilterBackend):  # type: ignore[misc]
    """django-filter, by the view's `filterset_class`."""


class SortBackend(BaseFilterBackend):
    """`?sort=-created_at,total`, with the primary key appended so that the order is total.

    Fields to sort by must be NOT NULL, for a keyset cursor cannot stand on NULL. The key runs in the
    last field's direction: an index on (created_at DESC, id DESC) serves both.
    """

    def filter_queryset(
        self, request: Request, queryset: QuerySet[M, R], view: Any
    ) -> QuerySet[M, R]:
        terms = sort_terms(request, view)
        return queryset.order_by(*terms) if terms else queryset

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        fields = getattr(view, "sort_fields", {})
        if not fields:
            return []
        return [
            {
                "name": "sort",
                "in": "query",
                "description": f"Comma-separated, `-` for descending: {', '.join(fields)}."
                f" Default: `{getattr(view, 'default_sort', '')}`.",
                "schema": {"type": "string"},
            }
        ]


def sort_terms(request: Request, view: Any) -> tuple[str, ...]:
    """Return the order that the request asks for, or the view's own; empty: the queryset's.

    Raises Invalid for a field that the view does not name, and for one named twice.
    """
    wanted = request.query_params.get("sort", "") or getattr(view, "default_sort", "")
    kind: Any = type(view)
    return _sorting(wanted, kind) if wanted else ()


@lru_cache(maxsize=1024)
def _sorting(wanted: str, view: Any) -> tuple[str, ...]:
    fields: Mapping[str, str] = getattr(view, "sort_fields", {})
    terms = [_term(name.strip(), fields) for name in wanted.split(",")]
    names = [term.removeprefix("-") for term in terms]
    if len(set(names)) < len(names):
        raise Invalid(errors={"sort": ["A field is named twice."]})
    return (*terms, *_tie_break(terms, names))


def _term(name: str, fields: Mapping[str, str]) -> str:
    sign = "-" if name.startswith("-") else ""
    field = fields.get(name.removeprefix("-"))
    if field is None:
        known = ", ".join(fields) or "nothing"
        raise Invalid(errors={"sort": [f"Cannot sort by '{name[:40]}'; known: {known}."]})
    return sign + field


def _tie_break(terms: list[str], names: list[str]) -> list[str]:
    if "id" in names or "pk" in names:
        return []
    return ["-id" if terms[-1].startswith("-") else "id"]


class IdFilter(filters.NumberFilter):  # type: ignore[misc]
    """The id of a record: a whole number that a bigint can hold."""

    def __init__(self, *args: Any, **options: Any) -> None:
        bounds = {"min_value": 1, "max_value": BIGINT_MAX, "decimal_places": 0}
        super().__init__(*args, **bounds | options)


class InstantField(forms.Field):
    def to_python(self, value: Any) -> datetime | None:
        if value in self.empty_values:
            return None
        try:
            instant = parse_datetime(str(value).strip())
        except ValueError:
            instant = None
        if instant is None:
            raise ValidationError("An ISO 8601 date and time.", code="invalid")
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


class InstantFilter(filters.IsoDateTimeFilter):  # type: ignore[misc]
    """An instant as ISO 8601; one without an offset is UTC, as everywhere in the API."""

    field_class = InstantField


class TextFilter(filters.CharFilter):  # type: ignore[misc]
    """Text to look for, of at most 100 characters."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"max_length": 100, **options})
