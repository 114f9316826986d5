"""Where an index may be missing: foreign keys without one, and tables that are read in whole."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.pages import remedies
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms

LIMIT = 50
ON_DELETE = {
    "a": _("no action"),
    "r": _("restrict"),
    "c": _("cascade"),
    "n": _("set null"),
    "d": _("set default"),
}
_FOREIGN_KEYS = f"""
SELECT * FROM monitor.unindexed_foreign_keys
ORDER BY estimated_rows DESC, tablename, constraint_name LIMIT {LIMIT}
"""
_PRESSURE = f'SELECT * FROM missing_indexes ORDER BY seq_tup_read DESC, "table" LIMIT {LIMIT}'


def _foreign_keys(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(_FOREIGN_KEYS, timeout_ms=timeout_ms())
    return {
        "keys": [
            {
                **row,
                "deletes": ON_DELETE[row["on_delete"]],
                "fix": remedies.add_index(
                    row["schemaname"], row["tablename"], row["columns"].split(", ")
                ),
            }
            for row in rows
        ]
    }


def _pressure(window: Window) -> Mapping[str, Any]:
    return {"tables": access.fetch_dicts(_PRESSURE, timeout_ms=timeout_ms())}


PAGE = MonitoringPage(
    name="missing",
    title=_("Missing indexes"),
    ranged=False,
    panels=(
        Panel(
            name="foreign-keys",
            title=_("Foreign keys without an index"),
            read=_foreign_keys,
            template="monitoring/pages/missing_foreign_keys.html",
            help=_(
                "Each delete and each change of a referenced key reads the whole referencing table."
                " Where rows of the referenced table are never deleted, none is needed."
            ),
        ),
        Panel(
            name="pressure",
            title=_("Tables read in whole"),
            read=_pressure,
            template="monitoring/pages/missing_pressure.html",
            help=_("A hint where to look, no proof: a small table is best read in whole."),
            wants=("stats.counts",),
        ),
    ),
)
