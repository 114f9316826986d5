"""A list of records in the admin: page numbers while it is short, and however long, previous and next.

A list of more rows than are counted is walked by keyset cursor (khaacho.api.keyset), from either end: the
millionth page costs what the first does, and rows that arrive meanwhile move nothing. `?cursor=` is
signed for one list, its filters and its order; `last` stands for its other end.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from django.contrib import messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import Field, Model, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from rest_framework.request import Request

from khaacho.adminsite.paginator import BoundedPaginator
from khaacho.api import keyset
from khaacho.api.keyset import Cursor, Window
from khaacho.exceptions import Invalid

if TYPE_CHECKING:
    from khaacho.adminsite.model_admin import KhaachoModelAdmin

CURSOR = "cursor"
LAST = "last"


@dataclass(frozen=True)
class Walk:
    """Where one can go from a page of a long list: addresses, empty where there is nothing."""

    first: str
    previous: str
    next: str
    last: str


class RecordList(ChangeList):
    """A list that sorts by nothing but `sortable_by`, and leaves big columns in the database."""

    walk: Walk | None = None
    paginator: BoundedPaginator

    def get_ordering_field(self, field_name: Any) -> Any:
        return (
            super().get_ordering_field(field_name)
            if field_name in (self.sortable_by or ())
            else None
        )

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> QuerySet[Any]:
        found = super().get_queryset(request, exclude_parameters)
        return found.defer(*cast("KhaachoModelAdmin", self.model_admin).deferred)

    def get_filters_params(self, params: Any = None) -> Any:
        return _without_cursor(super().get_filters_params(params))

    def get_query_string(self, new_params: Any = None, remove: Any = None) -> str:
        """Return a link to the list otherwise filtered or sorted: it begins at the beginning."""
        here, self.filter_params = self.filter_params, _without_cursor(self.filter_params)
        try:
            return super().get_query_string(new_params, remove)
        finally:
            self.filter_params = here

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        if self.paginator.is_bounded or CURSOR in request.GET:
            self._walk(request)

    def _walk(self, request: HttpRequest) -> None:
        terms = total_order(self.model, self.queryset.query.order_by)
        salt = keyset.salt_of(Request(request), terms)
        window = self._window(request, terms, salt)
        self.result_list = window.rows

        def to(cursor: Cursor | None) -> str:
            return self._address(keyset.encode(cursor, salt)) if cursor else ""

        previous, following = to(window.before), to(window.after)
        self.walk = Walk(
            first=self.get_query_string() if previous else "",
            previous=previous,
            next=following,
            last=self._address(LAST) if following else "",
        )

    def _address(self, cursor: str) -> str:
        return self.get_query_string({CURSOR: cursor})

    def _window(self, request: HttpRequest, terms: Sequence[str], salt: str) -> Window:
        rows = self.queryset.order_by(*terms)
        text = request.GET.get(CURSOR, "")
        if text == LAST:
            return _last(rows, terms, self.list_per_page)
        try:
            cursor = keyset.decode(text, salt) if text else None
        except Invalid:
            messages.warning(
                request, _("That page's address is not valid: this is the first page.")
            )
            cursor = None
        return keyset.window(rows, cursor, self.list_per_page)

    @cached_property
    def said_count(self) -> str:
        """How many records there are, as the foot of the list says it."""
        return self.paginator.said_count


def total_order(model: type[Model], terms: Sequence[Any]) -> tuple[str, ...]:
    """Return an order of plain fields as far as it takes to be total. Raises TypeError for another."""
    wanted: dict[str, str] = {}
    for term in terms:
        if not isinstance(term, str):
            raise TypeError(f"a list of {model.__name__} cannot be walked by {term}")
        name = term.removeprefix("-")
        field = model._meta.pk if name == "pk" else model._meta.get_field(name)
        if not isinstance(field, Field) or field.null:
            raise TypeError(
                f"a list of {model.__name__} cannot be walked by {name}, which may be empty"
            )
        wanted.setdefault(field.name, "-" * term.startswith("-") + field.name)
        if field.unique:
            break
    return tuple(wanted.values())


def _last(rows: QuerySet[Any], terms: Sequence[str], limit: int) -> Window:
    turned = [term[1:] if term.startswith("-") else f"-{term}" for term in terms]
    window = keyset.window(rows.order_by(*turned), None, limit)
    before = replace(window.after, backward=True) if window.after else None
    return Window(window.rows[::-1], None, before)


def _without_cursor(params: Any) -> Any:
    return {name: value for name, value in params.items() if name != CURSOR}
