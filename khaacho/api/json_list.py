"""Lists whose JSON PostgreSQL builds, by a statement that is compiled once for each shape of request.

    class OrderList(JSONListView[Order]):
        serializer_class = OrderRowSerializer
        filterset_class = OrderFilter

        def rows(self, actor: Actor, **route: Any) -> QuerySet[Order]:
            return Order.objects.for_user(actor)

A shape is all of a request but its values: the view, the caller's role, which filters are given, the
order, and which way a cursor looks. `rows` is called once for each, with Params for the ids.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from django.db.models import BigIntegerField, Model, QuerySet, TextField
from django.db.models.functions import Cast
from django.http import HttpResponse
from rest_framework.generics import ListAPIView
from rest_framework.request import Request

from khaacho import replica
from khaacho.actors import Actor
from khaacho.api import keyset, pagination
from khaacho.api.authentication import caller
from khaacho.api.filters import sort_terms
from khaacho.api.json_rows import Param, Statement, as_text, compiled, projection
from khaacho.api.keyset import Cursor, Window
from khaacho.api.pagination import Asked, Paged
from khaacho.api.shapes import Shape, filtered, shape_of
from khaacho.exceptions import Invalid

M = TypeVar("M", bound=Model)
Values = Mapping[str, Any]
TENANTS = {"retailer_id", "vendor_id"}  # filters that leave the rows of one
KEPT = 1000  # shapes; then all are forgotten, since only strange requests make so many


@dataclass(frozen=True)
class Listing:
    """A queryset and its projection; statements are compiled when first needed, and kept."""

    queryset: QuerySet[Any]
    text: Cast
    terms: tuple[str, ...]
    statements: dict[object, Statement] = field(default_factory=dict)

    def page(self) -> Statement:
        """Select the JSON of the rows, in order."""
        return self._kept("page", lambda: self.queryset.values_list(self.text))

    def ids(self) -> Statement:
        """Select the keys of the rows, in no order: to be counted."""
        return self._kept("ids", lambda: self.queryset.order_by().values_list("pk"))

    def window(self, cursor: Cursor | None) -> Statement:
        """Select JSON and order of the rows beyond a cursor that looks the same way as this one."""
        way = cursor and (cursor.backward, cursor.inclusive)
        return self._kept(("window", way), lambda: self._beyond(cursor))

    def _beyond(self, cursor: Cursor | None) -> QuerySet[Any, Any]:
        found = self.queryset
        columns = {term.removeprefix("-"): keyset.column(found, term) for term in self.terms}
        if cursor is not None:
            # as the text that a row's place is read as; PostgreSQL takes it for the column's type
            places = [Param(f"cursor.{name}", TextField()) for name in columns]
            found = keyset.beyond(found, dataclasses.replace(cursor, values=tuple(places)))
        return found.values_list(self.text, *(as_text(*each) for each in columns.items()))

    def _kept(self, key: object, make: Callable[[], QuerySet[Any, Any]]) -> Statement:
        found = self.statements.get(key)
        if found is None:
            found = self.statements[key] = compiled(make())
        return found


_listings: dict[object, Listing] = {}


def kept() -> int:
    """Return how many shapes are kept in this process."""
    return len(_listings)


def forget() -> None:
    """Let every shape be compiled anew."""
    _listings.clear()


class JSONListView(ListAPIView[M]):
    """A list of `rows`, filtered, sorted and paginated like any other, without models or serializer.

    `tenant_sorts` have no index of their own: a tenant's rows are sorted by them, not everybody's.
    """

    tenant_sorts: ClassVar[frozenset[str]] = frozenset()

    def rows(self, actor: Actor, **route: Any) -> QuerySet[M]:
        """Return the rows that the actor may see; the actor's and the route's ids may be Params."""
        raise NotImplementedError

    def check_exists(self, **route: Any) -> None:
        """Raise NotFound where an empty list is of something that does not exist."""

    def get_queryset(self) -> QuerySet[M]:
        return self.rows(caller(self.request), **self.kwargs)

    def list(self, request: Request, *args: Any, **route: Any) -> Any:
        return replica.read(caller(request).user_id, lambda: self._list(request, **route))

    def _list(self, request: Request, **route: Any) -> HttpResponse:
        asked = pagination.asked(request)
        listing, values = self._listing(request)
        take = _by_page if asked.cursor is None else _by_cursor
        paged = take(listing, values, asked, request)
        if not paged.rows:
            self.check_exists(**route)
        rows, page = ",".join(paged.rows), json.dumps(paged.pagination)
        body = f'{{"data":[{rows}],"pagination":{page}}}'
        return HttpResponse(
            body.encode(), content_type="application/json", headers=paged.headers(request)
        )

    def _listing(self, request: Request) -> tuple[Listing, Values]:
        """Return the listing of the request's shape, and the values to run it with. Raises Invalid."""
        terms = sort_terms(request, self)
        shape = shape_of(_filters_of(self), request)
        if shape is None:
            return self._listed(self.filter_queryset(self.get_queryset()), terms=()), {}
        actor = caller(request)
        if terms and terms[0].removeprefix("-") in self.tenant_sorts:
            _require_tenant(actor, shape, terms[0])
        key = (type(self), actor.role, terms, shape.forms)
        listing = _listings.get(key)
        if listing is None:
            if kept() >= KEPT:
                forget()
            listing = _listings[key] = self._listed(self._symbolic(actor, shape), terms)
        tenants = {"retailer": actor.retailer_id or 0, "vendor": actor.vendor_id or 0}
        return listing, {**shape.values, **tenants, **self.kwargs}

    def _symbolic(self, actor: Actor, shape: Shape) -> QuerySet[M]:
        """Return the rows of any caller of this role, with a Param for each value."""
        tenants: Any = [Param(name, BigIntegerField()) for name in ("retailer", "vendor")]
        anybody = dataclasses.replace(actor, retailer_id=tenants[0], vendor_id=tenants[1])
        route = {name: Param(name, BigIntegerField()) for name in self.kwargs}
        queryset = self.rows(anybody, **route)
        if shape.forms:
            queryset = filtered(_filters_of(self), shape, queryset, self.request)
        return queryset

    def _listed(self, queryset: QuerySet[M], terms: tuple[str, ...]) -> Listing:
        if terms:
            queryset = queryset.order_by(*terms)
        elif not queryset.query.order_by:
            queryset = queryset.order_by("-id")
        fields = projection(self.get_serializer(), queryset.model)
        return Listing(queryset, Cast(fields, TextField()), keyset.ordering(queryset))


def _filters_of(view: JSONListView[Any]) -> Any:
    return getattr(view, "filterset_class", None)


def _require_tenant(actor: Actor, shape: Shape, term: str) -> None:
    if actor.is_staff and not TENANTS & {name for name, _ in shape.forms}:
        field = term.removeprefix("-")
        raise Invalid(
            errors={"sort": [f"To sort by {field}, name one retailer_id or vendor_id as well."]}
        )


def _by_page(listing: Listing, values: Values, asked: Asked, request: Request) -> Paged[str]:
    page = listing.page()
    rows = [row[0] for row in page.fetch(values, limit=asked.limit, offset=asked.offset)]
    if 0 < len(rows) < asked.limit or (not rows and asked.page == 1):
        return pagination.page_of(rows, asked, total=asked.offset + len(rows))
    total, is_estimate = pagination.total_of(listing.ids(), values)
    return pagination.page_of(rows, asked, total=total, is_estimate=is_estimate)


def _by_cursor(listing: Listing, values: Values, asked: Asked, request: Request) -> Paged[str]:
    salt = keyset.salt_of(request, listing.terms)
    cursor = keyset.decode(asked.cursor, salt) if asked.cursor else None
    places = zip(listing.terms, cursor.values if cursor else (), strict=bool(cursor))
    bound = {f"cursor.{term.removeprefix('-')}": value for term, value in places}
    found = listing.window(cursor).fetch({**values, **bound}, limit=asked.limit + 1)
    window = keyset.frame(found, cursor, asked.limit, lambda row: row[1:])
    texts = [row[0] for row in window.rows]
    return pagination.window_of(Window(texts, window.after, window.before), asked, salt)
