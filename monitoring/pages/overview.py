"""The first page: is the database well, and if not, where to look."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.database import access
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms


def _capabilities(window: Window) -> Mapping[str, Any]:
    rows = access.fetch(
        "SELECT what, fix FROM monitor.capabilities WHERE NOT ok ORDER BY id",
        timeout_ms=timeout_ms(),
    )
    return {"lacking": [{"what": what, "fix": fix} for what, fix in rows]}


PAGE = MonitoringPage(
    name="overview",
    title=_("Overview"),
    route="",
    panels=(
        Panel(
            name="capabilities",
            title=_("What the monitoring can see"),
            read=_capabilities,
            template="monitoring/pages/capabilities.html",
        ),
    ),
)
