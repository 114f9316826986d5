"""Tables of related records below an object page, each bounded; apps above may add theirs."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib.admin import site
from django.contrib.admin.utils import label_for_field
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import reverse

from khaacho.adminsite.columns import Column, cell, shortened


@dataclass(frozen=True, kw_only=True)
class Panel:
    """The newest `limit` records of `model` that `rows` finds for the page's object.

    `more` is the lookup that leads to the whole list: `order__id__exact`.
    """

    title: str
    model: type[Model]
    rows: Callable[[Any], QuerySet[Any]]
    columns: tuple[str | Column, ...]
    more: str = ""
    limit: int = 20


@dataclass(frozen=True)
class Table:
    """A panel as the template shows it: rows are (address or "", cells)."""

    title: str
    headings: list[str]
    rows: list[tuple[str, list[str]]]
    more_url: str


_added: dict[type[Model], list[Panel]] = defaultdict(list)


def add_panel(target: type[Model], panel: Panel) -> None:
    """Show a panel on another app's object page; for apps above the target's."""
    _added[target].append(panel)


def panels_of(model: type[Model]) -> list[Panel]:
    return _added[model]


def tabulate(panel: Panel, record: Model, request: HttpRequest) -> Table | None:
    """Return the panel's table for a record; None when the user may not see such records."""
    admin = site.get_model_admin(panel.model)
    if not admin.has_view_permission(request):
        return None
    found = list(panel.rows(record)[: panel.limit + 1])
    rows = [
        (_url(row, "change", row.pk), [cell(row, column) for column in panel.columns])
        for row in found[: panel.limit]
    ]
    more = panel.more if len(found) > panel.limit else ""
    return Table(
        title=panel.title,
        headings=[
            str(label_for_field(column, panel.model))
            for column in shortened(panel.model, panel.columns)
        ],
        rows=rows,
        more_url=f"{_url(panel.model, 'changelist')}?{more}={record.pk}" if more else "",
    )


def _url(model: Model | type[Model], page: str, *args: object) -> str:
    options = model._meta
    return reverse(f"admin:{options.app_label}_{options.model_name}_{page}", args=args)
