"""Parts of an object page that draw themselves, and filters of its list: apps above may add both."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A section of an object page: `template` shows what `look(record)` returns, as `it`.

    It is shown to whoever has the permission.
    """

    title: str
    template: str
    permission: str
    look: Callable[[Any], Any]


@dataclass(frozen=True)
class Drawn:
    title: str
    template: str
    it: Any


_figures: dict[type[Model], list[Figure]] = defaultdict(list)
_filters: dict[type[Model], list[type[admin.SimpleListFilter]]] = defaultdict(list)


def add_figure(target: type[Model], figure: Figure) -> None:
    """Show a figure on another app's object page; for apps above the target's."""
    _figures[target].append(figure)


def add_filter(target: type[Model], added: type[admin.SimpleListFilter]) -> None:
    """Offer a filter in another app's list; for apps above the target's."""
    _filters[target].append(added)


def drawn(model: type[Model], record: Model, request: HttpRequest) -> list[Drawn]:
    """Return the page's figures that the user may see."""
    user: Any = request.user
    return [
        Drawn(figure.title, figure.template, figure.look(record))
        for figure in _figures[model]
        if user.has_perm(figure.permission)
    ]


def filters_of(model: type[Model]) -> Sequence[type[admin.SimpleListFilter]]:
    return _filters[model]
