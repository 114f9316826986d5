"""What became slower with a release: the statements before and after it, by what they add."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.history import regressions
from monitoring.history.models import ReleaseMarker
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms

SHOWN, LIMIT = 8, 50
FIELDS = ("id", "name", "released_at")
MARKERS = f"""
SELECT {", ".join(FIELDS)} FROM release_markers ORDER BY released_at DESC, id DESC LIMIT %s
"""


def _slower(window: Window) -> Mapping[str, Any]:
    """Compare a week on either side of the release that is asked for; without, of the last."""
    rows = access.fetch(MARKERS, [SHOWN], timeout_ms=timeout_ms())
    markers = {str(row[0]): ReleaseMarker.from_db(None, FIELDS, row) for row in rows}
    if not markers:
        return {"releases": [], "marker": None}
    marker = markers[window.choice("release", markers)]
    edges = regressions.compared(marker)
    found = regressions.regressions(marker, edges=edges)
    return {
        "releases": window.pills("release", markers, str(marker.pk)),
        "marker": marker,
        "edges": edges,
        "found": found[:LIMIT],
        "more": max(0, len(found) - LIMIT),
        "factor": regressions.FACTOR,
        "least": regressions.LEAST_CALLS,
        "added_seconds": sum(each.added_ms for each in found if not each.is_new) / 1000,
    }


PAGE = MonitoringPage(
    name="releases",
    title=_("Releases"),
    ranged=False,
    help=_("A deployment marks itself: manage.py release_marker NAME."),
    panels=(
        Panel(
            name="slower",
            title=_("Slower since a release"),
            read=_slower,
            template="monitoring/pages/releases.html",
            help=_(
                "Up to a week on either side, ended by the neighbouring releases. Slower is what takes"
                " at least half as long again, has surely grown, by Welch's bound at 99 %, and adds a thousandth"
                " of the time of all statements."
            ),
        ),
    ),
)
