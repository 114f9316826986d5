"""Keyset cursors: a place in an ordered list, signed, that costs the same however deep it is.

The order must be total (it ends in the primary key) and its fields NOT NULL. A cursor belongs to one
list: path, filters and order are part of its signature.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from django.core import signing
from django.db.models import BooleanField, Expression, F, Model, Q, QuerySet, Value
from django.db.models.sql.compiler import SQLCompiler
from rest_framework.request import Request

from khaacho.exceptions import Invalid

M = TypeVar("M", bound=Model)
_NOT_FILTERS = {"cursor", "limit", "page"}
_READ = {"d": Decimal, "t": datetime.fromisoformat, "a": date.fromisoformat}


@dataclass(frozen=True)
class Cursor:
    """A place in a list: at a row with these values of the order's fields, looking on or back.

    `inclusive` when the row itself is wanted again: nothing was found beyond it.
    """

    values: tuple[Any, ...]
    backward: bool = False
    inclusive: bool = False


@dataclass(frozen=True)
class Window:
    """What a cursor shows: rows in the list's order, and the cursors either way."""

    rows: list[Any]
    after: Cursor | None
    before: Cursor | None


class RowCompare(Expression):
    """`(a, b) > (x, y)`: one range of an index, however many rows share `a`."""

    def __init__(self, fields: Sequence[Any], operator: str, values: Sequence[Any]) -> None:
        super().__init__(output_field=BooleanField())
        self.operator = operator
        self.half = len(fields)
        self.expressions = [*fields, *values]

    def get_source_expressions(self) -> list[Any]:
        return self.expressions

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        self.expressions = list(exprs)

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        compiled = [compiler.compile(expression) for expression in self.expressions]
        left, right = compiled[: self.half], compiled[self.half :]
        sides = [f"({', '.join(text for text, _ in side)})" for side in (left, right)]
        params = tuple(param for _, part in compiled for param in part)
        return f"{sides[0]} {self.operator} {sides[1]}", params


def ordering(queryset: QuerySet[Any]) -> tuple[str, ...]:
    """Return the queryset's order, which is one of plain field names. Raises TypeError if not."""
    given = queryset.query.order_by
    terms = tuple(term for term in given if isinstance(term, str) and term != "?")
    if not terms or len(terms) < len(given):
        raise TypeError("a keyset needs an order of plain fields that ends in the primary key")
    return terms


def window(queryset: QuerySet[Any], cursor: Cursor | None, limit: int) -> Window:
    """Return the `limit` rows that follow the cursor, or come before it. One query."""
    terms = ordering(queryset)
    back = cursor is not None and cursor.backward
    if cursor is not None:
        queryset = queryset.filter(_beyond(terms, cursor))
    found = list((queryset.reverse() if back else queryset)[: limit + 1])
    more, rows = len(found) > limit, found[:limit]
    if not rows:
        return _nothing(cursor)
    if back:
        rows.reverse()
    before = Cursor(_values(rows[0], terms), backward=True)
    after = Cursor(_values(rows[-1], terms))
    if back:
        return Window(rows, after, before if more else None)
    return Window(rows, after if more else None, before if cursor else None)


def _nothing(cursor: Cursor | None) -> Window:
    """Nothing lies beyond the cursor: the way back begins with its own row."""
    if cursor is None:
        return Window([], None, None)
    turned = Cursor(cursor.values, backward=not cursor.backward, inclusive=not cursor.inclusive)
    return Window([], turned, None) if cursor.backward else Window([], None, turned)


def _beyond(terms: Sequence[str], cursor: Cursor) -> Any:
    names = [term.removeprefix("-") for term in terms]
    signs = [(">", "<")[term.startswith("-") ^ cursor.backward] for term in terms]
    if len(set(signs)) == 1:
        operator = signs[0] + ("=" if cursor.inclusive else "")
        return RowCompare([F(n) for n in names], operator, [Value(v) for v in cursor.values])
    return _mixed(names, signs, cursor)


def _mixed(names: Sequence[str], signs: Sequence[str], cursor: Cursor) -> Q:
    """Compare field by field where directions differ; the first field alone bounds the range."""
    lookups = {">": "gt", "<": "lt"}
    same, beyond = Q(), Q()
    for name, sign, value in zip(names, signs, cursor.values, strict=True):
        beyond |= same & Q(**{f"{name}__{lookups[sign]}": value})
        same &= Q(**{name: value})
    if cursor.inclusive:
        beyond |= same
    return Q(**{f"{names[0]}__{lookups[signs[0]]}e": cursor.values[0]}) & beyond


def _values(row: Any, terms: Sequence[str]) -> tuple[Any, ...]:
    return tuple(_value(row, term.removeprefix("-")) for term in terms)


def _value(row: Any, name: str) -> Any:
    if isinstance(row, dict):
        return row[name]
    for part in name.split("__"):
        row = getattr(row, part)
    return row


def encode(cursor: Cursor, salt: str) -> str:
    """Return the cursor as an opaque, signed string. Raises TypeError for a field of another type."""
    parts = [cursor.backward, cursor.inclusive, [_write(value) for value in cursor.values]]
    return signing.dumps(parts, salt=salt)


def decode(text: str, salt: str) -> Cursor:
    """Return the cursor that `encode` wrote for this list. Raises Invalid."""
    try:
        backward, inclusive, values = signing.loads(text, salt=salt)
    except signing.BadSignature:
        raise Invalid(errors={"cursor": ["This is not a cursor of this list."]}) from None
    return Cursor(tuple(_read(value) for value in values), backward, inclusive)


def salt_of(request: Request, terms: Sequence[str]) -> str:
    """Return what binds a cursor to its list: path, filters and order."""
    filters = sorted(
        (name, value)
        for name, values in request.query_params.lists()
        if name not in _NOT_FILTERS
        for value in values
    )
    text = repr((request.path, filters, tuple(terms)))
    return "khaacho.cursor:" + hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _write(value: object) -> object:
    if isinstance(value, Decimal):
        return ["d", str(value)]
    if isinstance(value, datetime):
        return ["t", value.isoformat()]
    if isinstance(value, date):
        return ["a", value.isoformat()]
    if isinstance(value, str | int):
        return value
    raise TypeError(f"a keyset cannot stand on {type(value).__name__}")


def _read(value: Any) -> Any:
    return _READ[value[0]](value[1]) if isinstance(value, list) else value  # type: ignore[operator]
