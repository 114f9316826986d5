"""Which statements take the database's time."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from django.utils.translation import gettext_lazy as _

from monitoring.pages import statement_rows
from monitoring.pages.framework import MonitoringPage, Panel, Pill, Window

NEEDS = ("pgss.library", "pgss.extension")
WANTS = ("pgss.tracking", "stats.all_users", "pgss.uptodate")
SORTS = {
    "total": _("Total time"),
    "mean": _("Mean time"),
    "calls": _("Calls"),
    "rows": _("Rows per call"),
    "spread": _("Spread"),
    "reads": _("Reads from disk"),
}


def _top(window: Window) -> Mapping[str, Any]:
    order = window.choice("sort", statement_rows.ORDERS)
    since, forgotten = statement_rows.counted_since()
    return {
        "statements": statement_rows.counted(order),
        "since": since,
        "forgotten": forgotten,
        "sorts": [
            Pill(str(text), f"?{urlencode({'range': window.name, 'sort': name})}", name == order)
            for name, text in SORTS.items()
        ],
    }


PAGE = MonitoringPage(
    name="statements",
    title=_("Slow queries"),
    panels=(
        Panel(
            name="top",
            title=_("Statements"),
            read=_top,
            template="monitoring/pages/statements.html",
            help=_("One row per statement, its values left out. A link leads to all about it."),
            needs=NEEDS,
            wants=WANTS,
        ),
    ),
)
