"""How values are shown, in lists, object pages and panels alike."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache, reduce
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import display_for_field, display_for_value, lookup_field
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import DateTimeField, Field, Model
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from khaacho import logs
from khaacho.money import format_npr

EMPTY = "–"
MASK = "•••"
MASKED = frozenset({"phone", "password", "token", "body", "text", "message", "from", "to"})

PERSONAL = MASKED | {"name", "address", "secret", "number"}

Column = Callable[[Any], Any]


@cache
def npr(field: str, label: str = "") -> Column:
    """Return a column of an amount (`retailer.credit_limit` goes through relations), as `NPR 4,12,300.00`."""

    @admin.display(
        description=label or field.rpartition(".")[2].replace("_", " "),
        ordering=field.replace(".", "__"),
    )
    def show(record: Any) -> str:
        amount = reduce(getattr, field.split("."), record)
        return (
            EMPTY
            if amount is None
            else format_html('<span class="npr">{}</span>', format_npr(amount))
        )

    show.__name__ = field.replace(".", "_")
    return show


@cache
def at(field: str) -> Column:
    """Return a column of a time, short, in Kathmandu: `2026-11-24 05:19`."""

    @admin.display(description=field.removesuffix("_at").replace("_", " "), ordering=field)
    def show(record: Any) -> str:
        return short_time(getattr(record, field))

    show.__name__ = field
    return show


def short_time(moment: datetime | None) -> str:
    if moment is None:
        return EMPTY
    local = timezone.localtime(moment)
    text = f"{local:%Y-%m-%d %H:%M}"
    return format_html('<time datetime="{}">{}</time>', local.isoformat(), text)


def shortened(model: type[Model], names: Sequence[Any] | None) -> list[Any]:
    """Return names of columns with those of times replaced by their short columns."""
    times = {
        field.name for field in model._meta.concrete_fields if isinstance(field, DateTimeField)
    }
    return [at(name) if name in times else name for name in names or ()]


def computed(label: str, *, boolean: bool = False) -> Callable[[Column], Column]:
    """Make a column of a function of the record."""

    def decorate(function: Column) -> Column:
        if boolean:
            return admin.display(description=label, boolean=True)(function)
        return admin.display(description=label, empty_value=EMPTY)(function)

    return decorate


@cache
def pretty(field: str, label: str = "", *, mask: Callable[[Any], Any] | None = None) -> Column:
    """Return a column of a JSON field, indented, with personal data masked, as `mask` does if given."""

    @admin.display(description=label or field.replace("_", " "))
    def show(record: Any) -> SafeString | str:
        value = getattr(record, field)
        if not value:
            return EMPTY
        text = json.dumps(
            (mask or masked)(value), indent=1, ensure_ascii=False, cls=DjangoJSONEncoder
        )
        return format_html("<pre>{}</pre>", text)

    show.__name__ = field
    return show


def masked(value: Any) -> Any:
    """Return a JSON value with phones, secrets and message texts replaced."""
    if isinstance(value, dict):
        return {k: MASK if k.lower() in MASKED and v else masked(v) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(item) for item in value]
    return value


def scrubbed(value: Any, key: str = "") -> Any:
    """Return a JSON value of unknown make masked more strictly: by a part of a key, and by its looks.

    Names are masked too, and whatever looks like a phone or a token in any text; ids stay.
    """
    if isinstance(value, dict):
        return {k: scrubbed(v, k.lower()) for k, v in value.items()}
    if isinstance(value, list):
        return [scrubbed(item, key) for item in value]
    if value and key in MASKED:
        return MASK
    if isinstance(value, str) and value:
        return MASK if PERSONAL & set(key.split("_")) else logs.scrub(value)
    return value


def sections(*groups: tuple[str | None, tuple[Any, ...]]) -> Any:
    """Return Django's fieldsets of (title, fields); a field is a name, a column, or several on one line."""
    return tuple((title, {"fields": fields}) for title, fields in groups)


def cell(record: Model, column: str | Column) -> str:
    """Return a value as the changelist would show it."""
    field, attribute, value = lookup_field(column, record)
    if isinstance(field, DateTimeField):
        return short_time(value)
    if isinstance(field, Field) and not field.is_relation:
        return str(display_for_field(value, field, EMPTY))
    boolean = bool(getattr(attribute, "boolean", False))
    return str(display_for_value(value, EMPTY, boolean))
