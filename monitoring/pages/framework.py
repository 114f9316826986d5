"""What a monitoring page is made of: panels that are read one by one, so that none takes the page with it.

A page is a GET for staff with its permission. It always answers, and within about a second: each panel
is read and rendered by itself; what cannot be read says in words why, and which command mends it. Once
the database does not let the monitoring in, no further panel tries; once the page's time is spent, the
rest is left for a look of its own (`?panel=name`).
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from khaacho.adminsite.pages import Label
from monitoring.database import access
from monitoring.pages.beside import beside_the_pool
from monitoring.pages.sharing import sharing
from monitoring.pages.troubles import Trouble, lacking, trouble_of

logger = logging.getLogger(__name__)

VIEW = "monitoring.view_database"
PANEL_MS, PAGE_MS = 400, 900  # what one panel and what all of a page may take
RANGES: Mapping[str, timedelta] = {
    "1h": timedelta(hours=1),
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
}
USUAL_RANGE = "24h"


@dataclass(frozen=True)
class Window:
    """The stretch of time that a page is about, in UTC, and what else its address asks for.

    `asked` holds the address's own parts (`queryid`) and its other parameters (`sort`).
    """

    since: datetime
    until: datetime
    name: str = USUAL_RANGE
    asked: Mapping[str, str] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()

    @property
    def query(self) -> str:
        """What a link to another page adds to its address: `range=24h`."""
        return urlencode({"range": self.name})

    def pills(self, name: str, choices: Mapping[str, Any], current: str) -> list["Pill"]:
        """Return links to this page with the parameter set to each of the choices; the range stays."""
        return [
            Pill(str(text), f"?{urlencode({'range': self.name, name: value})}", value == current)
            for value, text in choices.items()
        ]

    def choice(self, name: str, choices: Mapping[str, Any]) -> str:
        """Return the parameter's value when it is one of the choices, else the first of them."""
        value = self.asked.get(name, "")
        return value if value in choices else next(iter(choices))


@dataclass(frozen=True)
class Pill:
    """One of several links of which one is taken."""

    text: Label
    url: str
    current: bool


@dataclass(frozen=True, kw_only=True)
class Panel:
    """A part of a page, read by itself: `template` gets what `read` returns, `window` and `panel`.

    `needs` are ids of `monitor.capabilities` without which it cannot be read: then it is not, and says
    what is lacking. Of `wants` it only says so. `of_monitor=False`: it reads from elsewhere than the
    monitoring's own connection, and is tried when that fails. Those that are not `wide` stand side by
    side, as cards.
    """

    name: str
    title: Label
    read: Callable[[Window], Mapping[str, Any]]
    template: str
    help: Label = ""
    needs: tuple[str, ...] = ()
    wants: tuple[str, ...] = ()
    of_monitor: bool = True
    wide: bool = True


@dataclass(frozen=True, kw_only=True)
class MonitoringPage:
    """A page at /admin/database/<route>, by the URL name `database-<name>`; `routes` lie beneath it.

    Pages stand in the menu in the order in which monitoring/pages/urls.py names them; those whose
    address has parts of its own do not. `ranged=False`: it is about now, and offers no range.
    """

    name: str
    title: Label
    panels: Sequence[Panel]
    route: str | None = None
    permission: str = VIEW
    ranged: bool = True
    help: Label = ""
    routes: Sequence[URLPattern | URLResolver] = ()

    @property
    def path(self) -> str:
        return f"{self.name}/" if self.route is None else self.route

    @property
    def url_name(self) -> str:
        return f"database-{self.name}"

    @property
    def in_menu(self) -> bool:
        return "<" not in self.path


@dataclass(frozen=True)
class Shown:
    """A panel as the page shows it: its own HTML, or why there is none."""

    panel: Panel
    html: SafeString | None = None
    trouble: Trouble | None = None
    lacks: Sequence[Trouble] = ()
    alone_url: str = ""


@dataclass
class _Reading:
    """How far the reading of a page is: what is left of its time, and what stands against all of it."""

    ends: float
    unreachable: Trouble | None = None
    lacks: dict[str, Trouble] = field(default_factory=dict)

    def soon(self) -> float:
        """Return the moment by which what begins now must have ended."""
        return min(self.ends, time.monotonic() + PANEL_MS / 1000)


def timeout_ms() -> int:
    """Return how long a panel's statement may take, in ms; what is left of the page's time bounds it anyway."""
    return PANEL_MS


def page_urls(pages: Sequence[MonitoringPage]) -> list[URLPattern | URLResolver]:
    """Return the routes of the pages, each of which links to the others."""
    found: list[URLPattern | URLResolver] = []
    for page in pages:
        found.append(
            path(
                page.path,
                beside_the_pool(admin.site.admin_view(_view(page, pages))),
                name=page.url_name,
            )
        )
        found += page.routes
    return found


def may_see(request: HttpRequest, page: MonitoringPage) -> bool:
    return bool(request.user.has_perm(page.permission))


def page_context(
    request: HttpRequest, page: MonitoringPage, pages: Sequence[MonitoringPage], window: Window
) -> dict[str, Any]:
    """Return what monitoring/pages/page.html needs around the panels."""
    return {
        **admin.site.each_context(request),
        "title": page.title,
        "page": page,
        "window": window,
        "menu": [
            Pill(other.title, f"{reverse(other.url_name)}?{window.query}", other is page)
            for other in pages
            if other.in_menu and may_see(request, other)
        ],
        "ranges": _ranges(request, window) if page.ranged else (),
    }


def _ranges(request: HttpRequest, window: Window) -> list[Pill]:
    """Return links to this page as it is, over each of the ranges."""
    asked = request.GET.dict()
    return [
        Pill(name, f"?{urlencode(asked | {'range': name})}", name == window.name) for name in RANGES
    ]


def window_of(request: HttpRequest, **parts: str) -> Window:
    """Return the window that an address asks for; one that it may not, or none, is the usual."""
    name = request.GET.get("range", USUAL_RANGE)
    name = name if name in RANGES else USUAL_RANGE
    until = timezone.now()
    asked = {**request.GET.dict(), **parts}
    return Window(until - RANGES[name], until, name, asked)


def _view(page: MonitoringPage, pages: Sequence[MonitoringPage]) -> Callable[..., HttpResponse]:
    @never_cache
    @require_safe
    def view(request: HttpRequest, **parts: str) -> HttpResponse:
        if not may_see(request, page):
            raise PermissionDenied
        window = window_of(request, **parts)
        only = request.GET.get("panel")
        panels = [panel for panel in page.panels if panel.name == only] or page.panels
        context = page_context(request, page, pages, window) | {
            "panels": read_panels(request, panels, window),
            "only": panels is not page.panels,
        }
        return TemplateResponse(request, "monitoring/pages/page.html", context)

    return view


def read_panels(request: HttpRequest, panels: Sequence[Panel], window: Window) -> list[Shown]:
    """Read and render the panels one after the other, whatever goes wrong with any."""
    reading = _Reading(time.monotonic() + PAGE_MS / 1000)
    with sharing():
        if any(panel.needs or panel.wants for panel in panels):
            _read_capabilities(reading)
        return [_shown(request, panel, window, reading) for panel in panels]


def _read_capabilities(reading: _Reading) -> None:
    with access.within(reading.soon()):
        try:
            reading.lacks = lacking()
        except Exception as error:  # noqa: BLE001 - the panels are read all the same
            _note(reading, trouble_of(error, panel="capabilities"))


def _shown(request: HttpRequest, panel: Panel, window: Window, reading: _Reading) -> Shown:
    lacks = [reading.lacks[need] for need in panel.needs if need in reading.lacks]
    if lacks:
        return Shown(panel, lacks=lacks)
    if panel.of_monitor and reading.unreachable:
        return Shown(panel, trouble=reading.unreachable)
    alone = f"?{urlencode(request.GET.dict() | {'panel': panel.name})}"
    if time.monotonic() >= reading.ends:
        return Shown(
            panel,
            trouble=Trouble(_("Left out: the panels above took all the time that a page has.")),
            alone_url=alone,
        )
    wants = [reading.lacks[want] for want in panel.wants if want in reading.lacks]
    with access.within(reading.soon()):
        try:
            context = {**panel.read(window), "window": window, "panel": panel}
            html = render_to_string(panel.template, context, request)
        except Http404:
            raise
        except Exception as error:  # noqa: BLE001 - one panel must not take the page with it
            trouble = trouble_of(error, panel=panel.name)
            _note(reading, trouble)
            return Shown(
                panel, trouble=trouble, lacks=wants, alone_url=alone if trouble.is_late else ""
            )
    return Shown(panel, html=html, lacks=wants)


def _note(reading: _Reading, trouble: Trouble) -> None:
    if trouble.is_unreachable:
        reading.unreachable = trouble
