"""Who is connected, who waits for whom, and which transactions are open too long; cancel and terminate."""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from khaacho import logs
from khaacho.actors import Actor
from khaacho.adminsite import Verb
from khaacho.adminsite.forms import ReasonForm
from khaacho.exceptions import KhaachoError
from monitoring import blocking
from monitoring.blocking import Effect, Ended, Session
from monitoring.board import duration
from monitoring.database import access
from monitoring.pages import acts
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms
from monitoring.sources import selectors
from monitoring.sources.selectors import Issuer

logger = logging.getLogger(__name__)

HOME = "database-connections"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
LONG_SECONDS = 5  # a transaction that is listed
WARN_SECONDS, BAD_SECONDS = 30, 300
CROWDED, FULL = 70, 90  # per cent of the places for connections
LIMIT = 100
# `/*route='order-list',file='…'*/`, as sqlcommenter writes them
COMMENT = re.compile(r"/\*((?:\s*[\w-]+='[^']*'\s*,?)+)\*/")
PAIR = re.compile(r"([\w-]+)='([^']*)'")
ORIGINS = ("route", "task", "job", "command", "controller", "url")

TREE = """
SELECT t.*, extract(epoch FROM t.xact_age)::float8 AS xact_seconds,
    extract(epoch FROM t.waiting_for)::float8 AS waiting_seconds,
    substring(s.query FROM '/[*].*?[*]/') AS comment, t.pid = pg_backend_pid() AS is_own,
    s.query_id AS queryid,
    t.datname = current_database() AS is_ours
FROM monitor.blocking_tree t LEFT JOIN pg_stat_activity s
    ON s.pid = t.pid AND s.backend_start = t.backend_start
ORDER BY t.path LIMIT 200
"""
LONG = """
SELECT pid, backend_start, usename::text AS usename, application_name, client_addr::text AS client_addr,
    state, wait_event_type, wait_event, extract(epoch FROM now() - xact_start)::float8 AS xact_seconds,
    extract(epoch FROM now() - state_change)::float8 AS state_seconds,
    left(monitor.masked(query), 300) AS query, substring(query FROM '/[*].*?[*]/') AS comment,
    greatest(age(backend_xmin), age(backend_xid)) AS holds_back, false AS is_own, true AS is_ours,
    backend_type, 0 AS blocks_n
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
    AND (now() - xact_start > make_interval(secs => %(seconds)s)
        OR (state LIKE 'idle in transaction%%' AND now() - state_change > interval '1 s'))
ORDER BY xact_start LIMIT %(limit)s
"""
COUNTED = """
SELECT datname, usename, application_name, state, sum(connections)::int AS connections,
    greatest(0, extract(epoch FROM max(longest_in_state)))::float8 AS longest_seconds
FROM monitor.connections GROUP BY 1, 2, 3, 4 ORDER BY 5 DESC, 1, 2, 3, 4 LIMIT 100
"""
PLACES = """
SELECT coalesce(sum(connections), 0)::int, current_setting('max_connections')::int,
    current_setting('superuser_reserved_connections')::int
        + coalesce(current_setting('reserved_connections', true)::int, 0),
    coalesce(sum(connections) FILTER (WHERE state = 'active'), 0)::int,
    coalesce(sum(connections) FILTER (WHERE state = 'idle'), 0)::int,
    coalesce(sum(connections) FILTER (WHERE state LIKE 'idle in transaction%%'), 0)::int
FROM monitor.connections
"""


@dataclass(frozen=True)
class Node:
    """A session of the tree with who waits for it. `row` is a row of TREE."""

    row: Mapping[str, Any]
    children: list["Node"] = field(default_factory=list)


def _places(window: Window) -> Mapping[str, Any]:
    used, most, reserved, active, idle, in_transaction = access.fetch(
        PLACES, timeout_ms=timeout_ms()
    )[0]
    share = 100 * used / max(1, most - reserved)
    return {
        "used": used,
        "most": most - reserved,
        "reserved": reserved,
        "active": active,
        "idle": idle,
        "in_transaction": in_transaction,
        "share": share,
        "tone": "bad" if share >= FULL else "warn" if share >= CROWDED else "good",
        "groups": access.fetch_dicts(COUNTED, timeout_ms=timeout_ms()),
    }


def _tree(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(TREE, timeout_ms=timeout_ms())
    issuers = _issuers(rows)
    shown = [_shown(row) | {"issuer": issuers.get(row["queryid"])} for row in rows]
    return {"roots": _nested(shown), "waiting": _waiting(rows)}


def _issuers(rows: Sequence[Mapping[str, Any]]) -> Mapping[int, Issuer]:
    """Return which page, job or command usually sends what a session ran last; the tree goes without."""
    ids = sorted({row["queryid"] for row in rows if row["queryid"] and row["is_ours"]})
    try:
        return selectors.chief_issuers(ids)
    except access.Unavailable as error:
        logger.info("connections.issuers_unknown", extra={"reason": str(error)})
        return {}


def _waiting(rows: Sequence[Mapping[str, Any]]) -> int:
    return sum(row["depth"] > 0 for row in rows)


def _nested(rows: Sequence[Mapping[str, Any]]) -> list[Node]:
    """Return the roots; `rows` stand in the order of their paths, a parent before its children."""
    nodes: dict[tuple[int, ...], Node] = {}
    roots: list[Node] = []
    for row in rows:
        place = tuple(row["path"])
        node = nodes[place] = Node(row)
        parent = nodes.get(place[:-1])
        (roots if parent is None else parent.children).append(node)
    return roots


def _long(window: Window) -> Mapping[str, Any]:
    rows = access.fetch_dicts(
        LONG, {"seconds": LONG_SECONDS, "limit": LIMIT}, timeout_ms=timeout_ms()
    )
    return {"sessions": [_shown(row) for row in rows], "seconds": LONG_SECONDS, "limit": LIMIT}


def _shown(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a session's row with where it comes from, how bad its age is, and what may be done to it."""
    age = row["xact_seconds"] or 0
    can_end = (
        row["backend_start"] is not None
        and row["is_ours"]
        and not row["is_own"]
        and row["backend_type"] == "client backend"
    )
    return {
        **row,
        "pid": str(row["pid"] or ""),  # a name, not a number; a prepared transaction has none
        "origin": origin(row["comment"] or ""),
        "tone": "bad" if age >= BAD_SECONDS else "warn" if age >= WARN_SECONDS else "quiet",
        "is_idle": (row["state"] or "").startswith("idle"),
        "cancel_url": _address(row, "cancel") if can_end and row["state"] == "active" else "",
        "terminate_url": _address(row, "terminate") if can_end else "",
    }


def origin(comment: str) -> str:
    """Return what a statement's comment says of where it comes from: `route order-list, job orders.route`."""
    found = COMMENT.search(comment)
    pairs = dict(PAIR.findall(found[1])) if found else {}
    return ", ".join(f"{name} {pairs[name]}" for name in ORIGINS if pairs.get(name))


def _address(row: Mapping[str, Any], act: str) -> str:
    return reverse("database-session", args=[row["pid"], micros(row["backend_start"]), act])


def micros(moment: datetime) -> int:
    """Return the microseconds since 1970, which name a session's beginning exactly."""
    return (moment - EPOCH) // MICROSECOND


# Acts

SAID = {
    Effect.GONE: gettext_lazy("%s is gone."),
    Effect.STOPPED: gettext_lazy("The statement of %s was stopped; the session lives on."),
    Effect.WAITING: gettext_lazy(
        "%s was sent the signal, and has not obeyed within two seconds. Look again; what waits for a disk"
        " or the network obeys late."
    ),
}


def _end(act: Callable[..., Ended]) -> Callable[[Session, dict[str, Any], Actor], Ended]:
    def run(session: Session, fields: dict[str, Any], actor: Actor) -> Ended:
        assert session.backend_start is not None
        return act(
            pid=session.pid,
            backend_start=session.backend_start,
            reason=fields["reason"],
            actor=actor,
        )

    return run


VERBS = {
    "cancel": Verb(
        name="cancel_session",
        label="Cancel its statement",
        permission="monitoring.cancel_session",
        run=_end(blocking.cancel_session),
        effect=(
            "The statement that this session runs is stopped, and its transaction fails: what it changed is"
            " undone, its locks are free. The session itself lives on."
        ),
        done="",
        form=ReasonForm,
    ),
    "terminate": Verb(
        name="terminate_session",
        label="Terminate the session",
        permission="monitoring.terminate_session",
        run=_end(blocking.terminate_session),
        effect=(
            "The session is ended: what it has not committed is undone, its locks are free, and the program"
            " that uses it gets an error."
        ),
        done="",
        form=ReasonForm,
        is_grave=True,
    ),
}


@never_cache
def act_on_session(request: HttpRequest, pid: int, started: int, act: str) -> HttpResponse:
    """Ask about ending a session's statement or the session, or do it. A GET leads to the page."""
    verb = VERBS.get(act)
    if verb is None:
        raise Http404
    acts.require(request, verb.permission)
    if request.method != "POST":
        return HttpResponseRedirect(reverse(HOME))
    try:
        session = blocking.matching(pid, EPOCH + started * MICROSECOND)
        hindrance = blocking.hindrance(session, to_terminate=act == "terminate")
    except KhaachoError as error:
        return acts.back(request, HOME, error.message)
    return acts.respond(
        request,
        acts.Question(
            verb=verb,
            record=session,
            title=f"{verb.label}: {_name(session)}",
            home=HOME,
            home_title=_("Connections and blocking"),
            said=_said,
            facts=_facts(session),
            statement=logs.scrub(session.query),
            hindrance=hindrance,
        ),
    )


def _name(session: Session) -> str:
    return _("session %(pid)s of %(who)s") % {
        "pid": session.pid,
        "who": session.application or session.user,
    }


def _said(ended: Ended) -> tuple[int, str]:
    level = messages.WARNING if ended.effect == Effect.WAITING else messages.SUCCESS
    sentence = str(SAID[ended.effect]) % _name(ended.session)
    return level, sentence[0].upper() + sentence[1:]


def _facts(session: Session) -> list[tuple[str, str]]:
    blocked = ", ".join(map(str, session.blocked))
    age = session.xact_seconds
    return [
        (_("Database user"), session.user),
        (_("Program"), session.application or "–"),
        (_("Comes from"), origin(session.query) or session.client or _("this machine")),
        (_("State"), session.state),
        (_("Transaction open for"), "–" if age is None else duration(max(0, age))),
        (_("Blocks"), _("sessions %s") % blocked if blocked else _("nobody at this moment")),
    ]


PAGE = MonitoringPage(
    name="connections",
    title=gettext_lazy("Connections and blocking"),
    ranged=False,
    panels=(
        Panel(
            name="blocking",
            title=gettext_lazy("Who waits for whom"),
            read=_tree,
            template="monitoring/pages/connections_blocking.html",
            help=gettext_lazy(
                "From the root, which waits for nobody, down. End what the root does and all beneath it go"
                " on: cancel first, terminate only what does not obey or runs nothing."
            ),
            wants=("stats.all_users", "backend.signal"),
        ),
        Panel(
            name="long",
            title=gettext_lazy("Long transactions and sessions idle in one"),
            read=_long,
            template="monitoring/pages/connections_long.html",
            help=gettext_lazy(
                "An open transaction keeps its locks, and keeps VACUUM from removing what died since it began."
            ),
        ),
        Panel(
            name="places",
            title=gettext_lazy("Connections by state and program"),
            read=_places,
            template="monitoring/pages/connections_places.html",
        ),
    ),
    routes=(
        path(
            "connections/<int:pid>/<int:started>/<slug:act>/",
            admin.site.admin_view(act_on_session),
            name="database-session",
        ),
    ),
)
