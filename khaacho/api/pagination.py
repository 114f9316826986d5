"""Lists in an envelope: `{"data": […], "pagination": {…}}`, by page number or by cursor.

`?page=&limit=` counts and skips; `?cursor=` walks by keyset at the same cost at any depth. The order is
the queryset's own (SortBackend sets it); one without any is by newest id. Both answer with Link headers.

Counting and skipping cost more the more there is: pages end at row 10,000, and a list that is longer has
the planner's estimate for its `total`, and says so by `"total_is_estimate": true`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar
from urllib.parse import quote_plus, urlencode

from django.db.models import QuerySet
from django.http import QueryDict
from django.utils.encoding import escape_uri_path
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response

from khaacho.api import keyset
from khaacho.api.json_rows import Statement, compiled
from khaacho.api.keyset import Window
from khaacho.exceptions import Invalid

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_DEPTH = 10_000  # rows that are skipped or counted

R = TypeVar("R")


@dataclass(frozen=True)
class Asked:
    """What part of a list is wanted: page `page`, or what `cursor` leads to (empty: the first rows)."""

    limit: int
    page: int = 1
    cursor: str | None = None

    @property
    def offset(self) -> int:
        return (self.page - 1) * self.limit


@dataclass(frozen=True)
class Paged(Generic[R]):
    """Rows and what the envelope says of them; `targets` are where the Link header leads."""

    rows: Sequence[R]
    pagination: dict[str, Any]
    parameter: str
    targets: Mapping[str, object]

    def headers(self, request: Request) -> dict[str, str]:
        """Return the Link header (RFC 8288), relative to the host; nothing for a lone page."""
        links = [
            f'<{_address(request, self.parameter, str(value))}>; rel="{relation}"'
            for relation, value in self.targets.items()
            if value is not None
        ]
        return {"Link": ", ".join(links)} if links else {}


def asked(request: Request) -> Asked:
    """Read `limit` and `page` or `cursor`. Raises Invalid (400)."""
    given = request.query_params
    limit = _number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT)
    cursor = given.get("cursor")
    if cursor is not None:
        return Asked(limit, cursor=cursor)
    page = _number(given, "page", 1)
    if page * limit > MAX_DEPTH:
        raise Invalid(
            errors={"page": [f"Pages end at row {MAX_DEPTH}; use `cursor` to go deeper."]}
        )
    return Asked(limit, page)


def page_of(rows: Sequence[R], asked: Asked, *, total: int, is_estimate: bool = False) -> Paged[R]:
    """Return a numbered page of a list of `total` rows."""
    pages = -(-total // asked.limit)
    last = min(pages, MAX_DEPTH // asked.limit)
    after = asked.page + 1 if asked.page < last else None
    before = min(asked.page - 1, last) or None
    pagination = {
        "total": total,
        "page": asked.page,
        "limit": asked.limit,
        "total_pages": pages,
        "has_next_page": after is not None,
        "has_prev_page": before is not None,
        "next_page": after,
        "prev_page": before,
    }
    if is_estimate:
        pagination["total_is_estimate"] = True
    return Paged(rows, pagination, "page", {"next": after, "prev": before})


def window_of(window: Window, asked: Asked, salt: str) -> Paged[Any]:
    """Return the rows that a cursor led to, with the cursors either way."""
    after = keyset.encode(window.after, salt) if window.after else None
    before = keyset.encode(window.before, salt) if window.before else None
    pagination = {
        "next_cursor": after,
        "prev_cursor": before,
        "has_next_page": after is not None,
        "limit": asked.limit,
    }
    return Paged(window.rows, pagination, "cursor", {"next": after, "prev": before})


def total_of(ids: Statement, values: Mapping[str, Any]) -> tuple[int, bool]:
    """Return how many rows a statement has, and whether this is the planner's estimate."""
    total = ids.count(values, most=MAX_DEPTH)
    if total <= MAX_DEPTH:
        return total, False
    return max(total, ids.estimate(values)), True


class Pagination(BasePagination):
    """Offset pages unless the request has a `cursor` parameter, empty for the first page."""

    paged: Paged[Any]
    request: Request

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the page asked for; `queryset` is a QuerySet of models or values().

        Raises Invalid (400).
        """
        if not queryset.query.order_by:
            queryset = queryset.order_by("-id")
        self.request = request
        wanted = asked(request)
        take = _by_page if wanted.cursor is None else _by_cursor
        self.paged = take(queryset, wanted, request)
        return list(self.paged.rows)

    def envelope(self, data: Any) -> dict[str, Any]:
        """Return the whole body around one page's rows."""
        return {"data": data, "pagination": self.paged.pagination}

    def headers(self) -> dict[str, str]:
        return self.paged.headers(self.request)

    def get_paginated_response(self, data: Any) -> Response:
        return Response(self.envelope(data), headers=self.headers())

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        pagination = {"oneOf": [_object(_OFFSET, _ESTIMATE), _object(_CURSOR)]}
        return _object({"data": schema, "pagination": pagination})

    def get_schema_operation_parameters(self, view: Any) -> list[dict[str, Any]]:
        whole: dict[str, Any] = {"type": "integer", "minimum": 1}
        limit = {**whole, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
        return [
            _parameter("limit", "Rows on a page.", limit),
            _parameter("page", f"Page number, down to row {MAX_DEPTH}.", {**whole, "default": 1}),
            _parameter(
                "cursor",
                "Walk by cursor instead: empty for the first page, then `next_cursor`.",
                {"type": "string"},
            ),
        ]


def _number(given: QueryDict, name: str, default: int, most: int = 10**9) -> int:
    text = given.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= most:
        upto = f" to {most}" if most < 10**9 else " or more"
        raise Invalid(errors={name: [f"A whole number, 1{upto}."]})
    return int(text)


def _by_page(queryset: QuerySet[Any], asked: Asked, request: Request) -> Paged[Any]:
    total, is_estimate = total_of(compiled(queryset.order_by().values_list("pk")), {})
    first = asked.offset
    rows = list(queryset[first : first + asked.limit]) if first < total else []
    return page_of(rows, asked, total=total, is_estimate=is_estimate)


def _by_cursor(queryset: QuerySet[Any], asked: Asked, request: Request) -> Paged[Any]:
    salt = keyset.salt_of(request, keyset.ordering(queryset))
    cursor = keyset.decode(asked.cursor, salt) if asked.cursor else None
    return window_of(keyset.window(queryset, cursor, asked.limit), asked, salt)


def _address(request: Request, parameter: str, value: str) -> str:
    """Return the request's own path and query with one parameter replaced, the names sorted."""
    others = tuple(
        (name, tuple(values)) for name, values in request.query_params.lists() if name != parameter
    )
    before, after = _around(request.path, others, parameter)
    return f"{before}{quote_plus(value)}{after}"


@lru_cache(maxsize=1024)
def _around(
    path: str, others: tuple[tuple[str, tuple[str, ...]], ...], parameter: str
) -> tuple[str, str]:
    """Return what stands before and after the parameter's value."""
    smaller = urlencode([each for each in sorted(others) if each[0] < parameter], doseq=True)
    larger = urlencode([each for each in sorted(others) if each[0] > parameter], doseq=True)
    before = f"{escape_uri_path(path)}?{smaller}{'&' if smaller else ''}{parameter}="
    return before, f"&{larger}" if larger else ""


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _object(
    properties: dict[str, Any], optional: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    known = {**properties, **(optional or {})}
    return {"type": "object", "required": list(properties), "properties": known}


_INTEGER = {"type": "integer"}
_BOOLEAN = {"type": "boolean"}
_ESTIMATE = {"total_is_estimate": {"const": True}}
_OFFSET: dict[str, Any] = {
    "total": _INTEGER,
    "page": _INTEGER,
    "limit": _INTEGER,
    "total_pages": _INTEGER,
    "has_next_page": _BOOLEAN,
    "has_prev_page": _BOOLEAN,
    "next_page": {"type": ["integer", "null"]},
    "prev_page": {"type": ["integer", "null"]},
}
_CURSOR: dict[str, Any] = {
    "next_cursor": {"type": ["string", "null"]},
    "prev_cursor": {"type": ["string", "null"]},
    "has_next_page": _BOOLEAN,
    "limit": _INTEGER,
}
