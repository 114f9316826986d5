"""The first page: is the database well, and if not, where to look."""

from collections.abc import Callable, Mapping
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from khaacho.adminsite.pages import Label
from monitoring import health
from monitoring.database import access, capabilities
from monitoring.pages import indexes, timelines
from monitoring.pages.framework import MonitoringPage, Panel, Window
from monitoring.pages.sharing import once
from monitoring.pages.statements import NEEDS
from monitoring.templatetags import quantities

CARD = "monitoring/pages/card.html"
GOOD, WARN, BAD, QUIET = "good", "warn", "bad", "quiet"

# Thresholds: from which value on a card warns, and from which it is bad.
CONNECTIONS = (70, 90)  # per cent of those that people may have
CACHE_HIT = (99.0, 90.0)  # per cent, below
TRANSACTION = (60, 600)  # seconds that the oldest is open
DEAD_TUPLES = 10  # per cent of a table's rows
JOB_WAITS = (60, 600)  # seconds that the job due longest has waited
WRAPAROUND = (50, 80)  # per cent of the ids; autovacuum prevents the rest from 10 on
REDIS_MS = (50, 200)


def card(
    window: Window, figure: str, unit: str, tone: str, said: str, page: str = "", more: str = ""
) -> dict[str, Any]:
    """Return what a health card shows: a figure, a badge with words, the page where its cause is."""
    return {
        "figure": figure,
        "unit": unit,
        "tone": tone,
        "said": said,
        "url": link(page, window),
        "more": more,
    }


def link(page: str, window: Window) -> str:
    """Return the address of a page of the menu or the admin, "" where there is none."""
    try:
        return f"{reverse(page)}?{window.query}" if page else ""
    except NoReverseMatch:
        return ""


def graded(value: float, limits: tuple[float, float]) -> str:
    return BAD if value >= limits[1] else WARN if value >= limits[0] else GOOD


def _one(statement: str, *params: Any) -> tuple[Any, ...]:
    return access.fetch(statement, params)[0]


def _capabilities(window: Window) -> Mapping[str, Any]:
    return {"lacking": [each for each in once(capabilities.capabilities) if not each.ok]}


def _statements(window: Window) -> Mapping[str, Any]:
    slow, all_ = _one(
        "SELECT count(*) FILTER (WHERE mean_exec_time > 100), count(*)"
        " FROM monitor.statements(false) WHERE queryid IS NOT NULL"  # without their texts, megabytes
    )
    said = _("over 100 ms on average") if slow else _("none over 100 ms")
    more = _("of %s statements counted") % quantities.count(all_)
    unit = ngettext("slow statement", "slow statements", slow)
    tone = WARN if slow else GOOD
    return card(window, quantities.count(slow), unit, tone, said, "database-statements", more)


def _blocked(window: Window) -> Mapping[str, Any]:
    waiting, longest = _one(
        "SELECT count(*), extract(epoch FROM max(waiting_for))::float8"
        " FROM monitor.blocking_tree WHERE depth > 0"
    )
    said = _("waiting %s") % quantities.seconds(longest) if waiting else _("nobody waits")
    tone = graded(longest or 0, (5, 60)) if waiting else GOOD
    unit = ngettext("blocked session", "blocked sessions", waiting)
    return card(
        window,
        str(waiting),
        unit,
        WARN if waiting and tone == GOOD else tone,
        said,
        "database-connections",
    )


def _connections(window: Window) -> Mapping[str, Any]:
    used, room = _one(
        "SELECT coalesce(sum(connections), 0)::int,"
        " coalesce(max(max_connections - reserved_connections), 0) FROM monitor.connections"
    )
    share = 100 * used / room if room else 0
    said = _("%s of the room") % quantities.percent(share)
    unit = _("of %s connections") % quantities.count(room)
    return card(
        window,
        quantities.count(used),
        unit,
        graded(share, CONNECTIONS),
        said,
        "database-connections",
    )


def _cache(window: Window) -> Mapping[str, Any]:
    hit, since = _one(
        "SELECT 100.0 * blks_hit / nullif(blks_hit + blks_read, 0),"
        " coalesce(stats_reset, pg_postmaster_start_time())"
        " FROM pg_stat_database WHERE datname = current_database()"
    )
    tone = (
        QUIET
        if hit is None
        else GOOD
        if hit >= CACHE_HIT[0]
        else WARN
        if hit >= CACHE_HIT[1]
        else BAD
    )
    said = {
        QUIET: _("not known"),
        GOOD: _("from memory"),
        WARN: _("some from disk"),
        BAD: _("much from disk"),
    }[tone]
    return card(
        window, quantities.percent(hit), _("cache hit"), tone, said, "database-statements"
    ) | {"since": since}


def _transaction(window: Window) -> Mapping[str, Any]:
    held, who, detail = (
        *access.fetch(
            "SELECT extract(epoch FROM held_for)::float8, who, coalesce(detail, '') FROM monitor.xmin_holders"
            " WHERE held_for IS NOT NULL ORDER BY held_for DESC LIMIT 1"
        ),
        (None, "", ""),
    )[0]
    tone = graded(held or 0, TRANSACTION)
    said = _("holds vacuum back") if tone != GOOD else _("short") if who else _("none open")
    more = _("session %(who)s, %(detail)s") % {"who": who, "detail": detail} if who else ""
    return card(
        window,
        quantities.seconds(held),
        _("oldest transaction"),
        tone,
        said,
        "database-connections",
        more,
    )


def _bloat(window: Window) -> Mapping[str, Any]:
    swollen, free, dead = _one(
        "SELECT count(*) FILTER (WHERE estimated_bloat_percent > 30),"
        " coalesce(sum(estimated_bloat_bytes), 0)::bigint,"
        " count(*) FILTER (WHERE dead_tuple_percent > %s AND dead_tuples > 1000) FROM table_bloat_stats",
        DEAD_TUPLES,
    )
    said = (
        _("%(swollen)s swollen, %(dead)s with many dead rows") % {"swollen": swollen, "dead": dead}
        if swollen or dead
        else _("no table is swollen")
    )
    tone = WARN if swollen or dead else GOOD
    return card(
        window,
        quantities.size(free),
        _("free inside tables, estimated"),
        tone,
        said,
        "database-tables",
    )


def _indexes(window: Window) -> Mapping[str, Any]:
    counts = indexes.counts()
    found = counts.unused + counts.twice + counts.invalid
    said = (
        _("%(unused)s unused, %(twice)s there twice, %(invalid)s invalid")
        % {"unused": counts.unused, "twice": counts.twice, "invalid": counts.invalid}
        if found
        else _("all are of use")
    )
    tone = BAD if counts.invalid else WARN if found else GOOD
    return card(
        window,
        str(found),
        ngettext("index to look at", "indexes to look at", found),
        tone,
        said,
        "database-indexes",
    )


def _jobs(window: Window) -> Mapping[str, Any]:
    dead, waiting, oldest = _one(
        "SELECT (SELECT count(*) FROM jobs WHERE state = 'dead'), count(*),"
        " coalesce(extract(epoch FROM now() - min(run_after)), 0)::float8"
        " FROM jobs WHERE state = 'queued' AND run_after <= now()"
    )
    tone = BAD if dead else graded(oldest, JOB_WAITS)
    said = (
        ngettext("%s dead job", "%s dead jobs", dead) % dead
        if dead
        else _("oldest waits %s") % quantities.seconds(oldest)
    )
    unit = ngettext("job waits", "jobs wait", waiting)
    return card(window, quantities.count(waiting), unit, tone, said, "queue-board")


def _wraparound(window: Window) -> Mapping[str, Any]:
    (worst,) = _one("SELECT max(greatest(xid_pct, mxid_pct))::float8 FROM monitor.wraparound")
    tone = graded(worst, WRAPAROUND)
    said = {GOOD: _("far away"), WARN: _("vacuum falls behind"), BAD: _("close: vacuum now")}[tone]
    return card(
        window,
        quantities.percent(worst),
        _("of the transaction ids used"),
        tone,
        said,
        "database-maintenance",
    )


def _redis(window: Window) -> Mapping[str, Any]:
    took = health.ask_redis()
    tone = graded(took, REDIS_MS)
    said = _("answers") if tone == GOOD else _("answers late")
    return card(window, quantities.milliseconds(took), _("to answer"), tone, said, "queue-board")


def _health(
    name: str, title: Label, read: Callable[[Window], Mapping[str, Any]], **options: Any
) -> Panel:
    return Panel(name=name, title=title, read=read, template=CARD, wide=False, **options)


PAGE = MonitoringPage(
    name="overview",
    title=gettext_lazy("Overview"),
    route="",
    panels=(
        _health("statements", gettext_lazy("Statements"), _statements, needs=NEEDS),
        _health("blocked", gettext_lazy("Blocking"), _blocked),
        _health("connections", gettext_lazy("Connections"), _connections),
        _health("cache", gettext_lazy("Memory"), _cache),
        _health("transaction", gettext_lazy("Transactions"), _transaction),
        _health("bloat", gettext_lazy("Bloat"), _bloat),
        _health("indexes", gettext_lazy("Indexes"), _indexes),
        _health("jobs", gettext_lazy("Jobs"), _jobs),
        _health("wraparound", gettext_lazy("Wraparound"), _wraparound),
        _health("redis", gettext_lazy("Redis"), _redis, of_monitor=False),
        Panel(
            name="timeline",
            title=gettext_lazy("Over time"),
            read=timelines.of_database,
            template="monitoring/pages/timelines.html",
        ),
        Panel(
            name="capabilities",
            title=gettext_lazy("What the monitoring can see"),
            read=_capabilities,
            template="monitoring/pages/capabilities.html",
        ),
    ),
)
