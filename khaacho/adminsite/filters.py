"""Filters whose choices are known beforehand: none reads the table for them."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet, TextChoices
from django.http import HttpRequest

ALL = "all"


class OpenFirst(admin.SimpleListFilter):
    """A queue: what waits is shown unless something else is asked for."""

    field: str
    waiting: str
    known: type[TextChoices]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [*self.known.choices, (ALL, "All")]

    def value(self) -> str:
        return super().value() or self.waiting

    def choices(self, changelist: Any) -> Iterator[Any]:
        for value, title in self.lookup_choices:
            yield {
                "selected": self.value() == str(value),
                "query_string": changelist.get_query_string({self.parameter_name: value}),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == ALL:
            return queryset
        return queryset.filter(**{self.field: self.value()})


def open_first(field: str, known: type[TextChoices], waiting: str) -> type[OpenFirst]:
    """Return the filter of a queue's state field."""
    members = {
        "title": field.replace("_", " "),
        "parameter_name": field,
        "field": field,
        "known": known,
        "waiting": waiting,
    }
    return type(f"{known.__name__}OpenFirst", (OpenFirst,), members)


class NoValueYet(admin.SimpleListFilter):
    """A queue of records whose time stamp is still empty: open ones are shown first."""

    field: str
    open_title = "Open"
    closed_title = "Closed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", self.open_title), ("closed", self.closed_title), (ALL, "All")]

    def value(self) -> str:
        return super().value() or "open"

    choices = OpenFirst.choices

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == ALL:
            return queryset
        return queryset.filter(**{f"{self.field}__isnull": self.value() == "open"})


def unset_first(field: str, title: str, *, opened: str, closed: str) -> type[NoValueYet]:
    """Return the filter of a queue whose records are open while `field` is NULL."""
    members = {
        "title": title,
        "parameter_name": title,
        "field": field,
        "open_title": opened,
        "closed_title": closed,
    }
    return type(f"{field.title()}Unset", (NoValueYet,), members)


class Narrowed(admin.SimpleListFilter):
    """Narrows a list to one of few kinds of records, each of which has an index of its own."""

    kinds: Mapping[str, tuple[str, Callable[[Any], QuerySet[Any]]]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(value, title) for value, (title, _) in self.kinds.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        value = self.value() or ""
        return self.kinds[value][1](queryset) if value in self.kinds else queryset


def narrowed(
    title: str, parameter: str = "", **kinds: tuple[str, Callable[[Any], QuerySet[Any]]]
) -> type[Narrowed]:
    """Return a filter by kinds, each its title and how to narrow to it; the parameter is the title."""
    members = {"title": title, "parameter_name": parameter or title, "kinds": kinds}
    return type(f"{title.title().replace(' ', '')}Narrowed", (Narrowed,), members)
