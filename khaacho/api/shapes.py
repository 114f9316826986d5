"""What a request filters by, taken apart: its shape, for which SQL is compiled once, and its values.

django-filter stays the judge of what is valid and of what a filter means: the queryset of a shape is made
by the filterset itself, with Params in the place of values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import QueryDict
from django_filters.constants import EMPTY_VALUES
from django_filters.filters import Filter
from django_filters.filterset import BaseFilterSet
from django_filters.utils import get_model_field
from rest_framework.request import Request

from khaacho.api.json_rows import Param

ONE = "one"
BINDABLE = {
    "exact",
    "gt",
    "gte",
    "lt",
    "lte",
}  # other lookups rewrite their value: iexact escapes it


@dataclass(frozen=True)
class Shape:
    """The filters that a request gives and what their Params are bound to.

    `forms` says of each filter what its SQL depends on: ONE value, a number of choices, or a boolean.
    """

    forms: tuple[tuple[str, Any], ...] = ()
    values: Mapping[str, Any] = field(default_factory=dict)


def shape_of(filterset: type[BaseFilterSet] | None, request: Request) -> Shape | None:
    """Take the request's filters apart; None when the filterset has to answer this request itself.

    That is so when a value is invalid, or when a filter looks at its value to decide what to do.
    """
    forms: list[tuple[str, Any]] = []
    values: dict[str, Any] = {}
    given = request.query_params
    for name, known in filterset.base_filters.items() if filterset else ():
        if name not in given:
            continue
        try:
            value = _clean(known, name, given)
        except ValidationError:
            return None
        if value in EMPTY_VALUES:
            continue
        if not _is_bindable(filterset, known, value):
            return None
        forms.append((name, _form(value)))
        values |= _named(name, value)
    return Shape(tuple(forms), values)


def filtered(
    filterset: type[BaseFilterSet], shape: Shape, queryset: QuerySet[Any], request: Request
) -> QuerySet[Any]:
    """Return the queryset filtered by the shape, with a Param for each of its values."""
    filters = filterset({}, queryset, request=request).filters
    for name, form in shape.forms:
        queryset = filters[name].filter(queryset, _placeholder(filters[name], name, form))
    return queryset


def _clean(known: Filter, name: str, given: QueryDict) -> Any:
    return known.field.clean(known.field.widget.value_from_datadict(given, {}, name))


def _is_bindable(filterset: Any, known: Filter, value: Any) -> bool:
    if filterset.filter_queryset is not BaseFilterSet.filter_queryset:
        return False
    if known.method is not None:
        return isinstance(value, bool)
    return known.lookup_expr in BINDABLE


def _form(value: Any) -> Any:
    if isinstance(value, list):
        return len(value)
    return value if isinstance(value, bool) else ONE


def _named(name: str, value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {f"{name}.{n}": each for n, each in enumerate(value)}
    return {} if isinstance(value, bool) else {name: value}


def _placeholder(known: Filter, name: str, form: Any) -> Any:
    if isinstance(form, bool):
        return form
    column = get_model_field(known.model, known.field_name)
    if form == ONE:
        return Param(name, column)
    return [Param(f"{name}.{n}", column) for n in range(form)]
