"""Lists in an envelope: `{"data": […], "pagination": {…}}`, by page number or by cursor.

`?page=&limit=` counts and skips; `?cursor=` walks by keyset at the same cost at any depth. The order is
the queryset's own (SortBackend sets it); one without any is by newest id. Both answer with Link headers.
"""

import re
from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.utils.urls import replace_query_param

from khaacho.api import keyset
from khaacho.exceptions import Invalid

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
MAX_DEPTH = 10_000  # rows; skipping more by OFFSET costs too much


class Pagination(BasePagination):
    """Offset pages unless the request has a `cursor` parameter, empty for the first page.

    `pagination` and `links` are filled by `paginate_queryset`. Raises Invalid (400).
    """

    pagination: dict[str, Any]
    links: dict[str, str]

    def paginate_queryset(self, queryset: Any, request: Request, view: Any = None) -> list[Any]:
        """Return the rows of the page asked for; `queryset` is a QuerySet of models or values()."""
        if not queryset.query.order_by:
            queryset = queryset.order_by("-id")
        limit = _number(request, "limit", DEFAULT_LIMIT, MAX_LIMIT)
        if "cursor" in request.query_params:
            return self._by_cursor(queryset, request, limit)
        return self._by_page(queryset, request, limit)

    def _by_page(self, queryset: QuerySet[Any], request: Request, limit: int) -> list[Any]:
        page = _number(request, "page", 1)
        if page * limit > MAX_DEPTH:
            raise Invalid(
                errors={"page": [f"Pages end at row {MAX_DEPTH}; use `cursor` to go deeper."]}
            )
        total = queryset.count()
        pages = -(-total // limit)
        after = page + 1 if page < pages else None
        before = min(page - 1, pages) or None
        self.pagination = {
            "total": total,
            "page": page,
            "limit": limit,
            "total_pages": pages,
            "has_next_page": after is not None,
            "has_prev_page": before is not None,
            "next_page": after,
            "prev_page": before,
        }
        self.links = _links(request, "page", {"next": after, "prev": before})
        first = (page - 1) * limit
        return list(queryset[first : first + limit]) if first < total else []

    def _by_cursor(self, queryset: QuerySet[Any], request: Request, limit: int) -> list[Any]:
        salt = keyset.salt_of(request, keyset.ordering(queryset))
        text = request.query_params["cursor"]
        window = keyset.window(queryset, keyset.decode(text, salt) if text else None, limit)
        after = keyset.encode(window.after, salt) if window.after else None
        before = keyset.encode(window.before, salt) if window.before else None
        self.pagination = {
            "next_cursor": after,
            "prev_cursor": before,
            "has_next_page": after is not None,
            "limit": limit,
        }
        self.links = _links(request, "cursor", {"next": after, "prev": before})
        return window.rows

    def envelope(self, data: Any) -> dict[str, Any]:
        """Return the whole body around one page's rows."""
        return {"data": data, "pagination": self.pagination}

    def headers(self) -> dict[str, str]:
        """Return the Link header (RFC 8288), relative to the host; nothing for a lone page."""
        links = [f'<{target}>; rel="{relation}"' for relation, target in self.links.items()]
        return {"Link": ", ".join(links)} if links else {}

    def get_paginated_response(self, data: Any) -> Response:
        return Response(self.envelope(data), headers=self.headers())

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        pagination = {"oneOf": [_object(_OFFSET), _object(_CURSOR)]}
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


def _number(request: Request, name: str, default: int, most: int = 10**9) -> int:
    text = request.query_params.get(name, "")
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= most:
        upto = f" to {most}" if most < 10**9 else " or more"
        raise Invalid(errors={name: [f"A whole number, 1{upto}."]})
    return int(text)


def _links(request: Request, name: str, targets: Mapping[str, object]) -> dict[str, str]:
    here = request.get_full_path()
    return {
        relation: replace_query_param(here, name, str(value))
        for relation, value in targets.items()
        if value is not None
    }


def _parameter(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


_INTEGER = {"type": "integer"}
_BOOLEAN = {"type": "boolean"}
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
