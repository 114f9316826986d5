"""What requests and jobs took, summed over all processes, and what they asked of the database."""

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy as _

from monitoring.pages.framework import MonitoringPage, Panel, Window
from monitoring.sources import selectors

HELP = _(
    "Percentiles are of all processes together and off by 5 % at most. A process tells what it counted"
    " once a minute."
)


def _requests(window: Window) -> Mapping[str, Any]:
    return {"rows": selectors.routes(window.since, window.until), "of_requests": True}


def _tasks(window: Window) -> Mapping[str, Any]:
    return {"rows": selectors.tasks(window.since, window.until), "of_requests": False}


PAGE = MonitoringPage(
    name="routes",
    title=_("Requests and tasks"),
    panels=(
        Panel(
            name="requests",
            title=_("Requests by route"),
            read=_requests,
            template="monitoring/pages/routes.html",
            help=HELP,
        ),
        Panel(
            name="tasks",
            title=_("Tasks by kind"),
            read=_tasks,
            template="monitoring/pages/routes.html",
            help=_("Each attempt counts; one that failed is an error."),
        ),
    ),
)
