"""Which statements take the database's time."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.history import windows
from monitoring.pages import statement_rows
from monitoring.pages.framework import MonitoringPage, Panel, Window

NEEDS = ("pgss.library", "pgss.extension")
WANTS = ("pgss.tracking", "stats.all_users", "pgss.uptodate")
SORTS = {
    "total": _("Total time"),
    "mean": _("Mean time"),
    "calls": _("Calls"),
    "rows": _("Rows"),
    "spread": _("Spread"),
    "reads": _("Reads from disk"),
}


def _top(window: Window) -> Mapping[str, Any]:
    """Read the window's samples; all that PostgreSQL has counted while there are none. Three statements."""
    order = window.choice("sort", statement_rows.ORDERS)
    covered = windows.coverage(window.since, window.until)
    since, forgotten = statement_rows.counted_since()
    if covered.with_statements:
        found = statement_rows.of_window(window.since, window.until, order)
    else:
        found = statement_rows.counted(order)
    return {
        "statements": found,
        "covered": covered,
        "since": since,
        "forgotten": forgotten,
        "sorts": window.pills("sort", SORTS, order),
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
