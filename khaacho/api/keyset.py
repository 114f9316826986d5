"""Keyset cursors: a place in an ordered list, signed, that costs the same however deep it is.

The order must be total (it ends in the primary key) and its fields NOT NULL. A cursor belongs to one
list: path, filters and order are part of its signature.
"""

import hashlib
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar

from django.conf import settings
from django.db.models import BooleanField, Expression, F, Field, Model, Q, QuerySet, Value
from django.db.models.sql.compiler import SQLCompiler
from django.utils.crypto import constant_time_compare, salted_hmac
from rest_framework.request import Request

from khaacho.exceptions import Invalid

R = TypeVar("R", bound=Model)
V = TypeVar("V")
_COMPACT = json.JSONEncoder(separators=(",", ":"))
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


def column(queryset: QuerySet[Any], term: str) -> "Field[Any, Any]":
    """Return the field of a term of the order: a column, also over foreign keys, or an annotation."""
    field: Field[Any, Any] = queryset.query.resolve_ref(term.removeprefix("-")).output_field
    return field


def beyond(queryset: QuerySet[R, V], cursor: Cursor | None) -> QuerySet[R, V]:
    """Return the rows that follow the cursor in the queryset's order, or come before it, nearest first."""
    if cursor is None:
        return queryset
    found = queryset.filter(_beyond(ordering(queryset), cursor))
    return found.reverse() if cursor.backward else found


def window(queryset: QuerySet[Any], cursor: Cursor | None, limit: int) -> Window:
    """Return the `limit` rows that follow the cursor, or come before it. One query."""
    terms = ordering(queryset)
    found = list(beyond(queryset, cursor)[: limit + 1])
    return frame(found, cursor, limit, lambda row: _values(row, terms))


def frame(
    found: Sequence[Any],
    cursor: Cursor | None,
    limit: int,
    values: Callable[[Any], tuple[Any, ...]],
) -> Window:
    """Make a window of up to `limit` + 1 rows as `beyond` gives them; `values` of a row are its place."""
    back = cursor is not None and cursor.backward
    more, rows = len(found) > limit, list(found[:limit])
    if not rows:
        return _nothing(cursor)
    if back:
        rows.reverse()
    before = Cursor(values(rows[0]), backward=True)
    after = Cursor(values(rows[-1]))
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
        return RowCompare([F(n) for n in names], operator, [_operand(v) for v in cursor.values])
    return _mixed(names, signs, cursor)


def _operand(value: Any) -> Any:
    return value if isinstance(value, Expression) else Value(value)


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
    payload = _armoured(_COMPACT.encode(parts).encode())
    return f"{payload}.{_seal(payload, salt, settings.SECRET_KEY)}"


def decode(text: str, salt: str) -> Cursor:
    """Return the cursor that `encode` wrote for this list. Raises Invalid."""
    payload, _, seal = text.partition(".")
    seals = [_seal(payload, salt, str(each)) for each in _secrets()]
    if not any(constant_time_compare(seal, each) for each in seals):
        raise Invalid(errors={"cursor": ["This is not a cursor of this list."]})
    backward, inclusive, values = json.loads(urlsafe_b64decode(f"{payload}=="))
    return Cursor(tuple(_read(value) for value in values), backward, inclusive)


def _secrets() -> list[Any]:
    return [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


def _seal(payload: str, salt: str, secret: str) -> str:
    """Return 128 bits of keyed BLAKE2b over list and place; django.core.signing takes ten times as long."""
    message = f"{salt}:{payload}".encode("utf-8", "replace")
    return _armoured(hashlib.blake2b(message, key=_key(secret), digest_size=16).digest())


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    """Derive the signing key, so that nothing else signed with SECRET_KEY is a cursor."""
    return salted_hmac("khaacho.keyset", "cursor", secret=secret, algorithm="sha256").digest()


def _armoured(content: bytes) -> str:
    """Return text that an address takes as it is: without padding there is nothing to escape."""
    return urlsafe_b64encode(content).decode().rstrip("=")


def salt_of(request: Request, terms: Sequence[str]) -> str:
    """Return what binds a cursor to its list: path, filters and order."""
    filters = sorted(
        (name, value)
        for name, values in request.query_params.lists()
        if name not in _NOT_FILTERS
        for value in values
    )
    return _salt(request.path, tuple(filters), tuple(terms))


@lru_cache(maxsize=4096)
def _salt(path: str, filters: tuple[tuple[str, str], ...], terms: tuple[str, ...]) -> str:
    text = repr((path, list(filters), terms))
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
