"""Where an index may be missing: foreign keys without one, and tables that are read in whole."""

from collections.abc import Mapping
from typing import Any

from django.db.models import F
from django.utils.translation import gettext_lazy as _

from monitoring.database import access, tables
from monitoring.enums import AdviceState
from monitoring.models import AdviceRun, IndexAdvice
from monitoring.pages import remedies
from monitoring.pages.framework import MonitoringPage, Panel, Window

LIMIT = 50
ON_DELETE = {
    "a": _("no action"),
    "r": _("restrict"),
    "c": _("cascade"),
    "n": _("set null"),
    "d": _("set default"),
}


def _foreign_keys(window: Window) -> Mapping[str, Any]:
    return {
        "keys": [
            (
                each,
                ON_DELETE.get(each.on_delete, each.on_delete),
                remedies.add_index(each.schemaname, each.tablename, each.columns.split(", ")),
            )
            for each in tables.unindexed_foreign_keys(limit=LIMIT)
        ]
    }


def _pressure(window: Window) -> Mapping[str, Any]:
    return {"tables": tables.scanned(limit=LIMIT)}


def _advice(window: Window) -> Mapping[str, Any]:
    """Return the open advice, the most useful first, and the newest search. Two statements."""
    with access.reading():
        found = IndexAdvice.objects.using(access.ALIAS).filter(state=AdviceState.OPEN)
        run = AdviceRun.objects.using(access.ALIAS).order_by("-pk").first()
        ranked = list(
            found.order_by("-is_verified", F("saved_ms").desc(nulls_last=True), "pk")[:LIMIT]
        )
    return {
        "run": run,
        "advice": [
            (
                each,
                100 * each.saved_ms / each.workload_ms
                if each.saved_ms and each.workload_ms
                else None,
            )
            for each in ranked
        ],
    }


PAGE = MonitoringPage(
    name="missing",
    title=_("Missing indexes"),
    ranged=False,
    panels=(
        Panel(
            name="advice",
            title=_("Advice"),
            read=_advice,
            template="monitoring/pages/missing_advice.html",
            help=_(
                "Indexes that the planner would use for the statements that take the most time, tried"
                " without being built. A link leads to the lines to paste."
            ),
            wants=("index.whatif",),
        ),
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
