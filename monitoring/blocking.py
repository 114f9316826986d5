"""Ending what stands in the way: a session's statement first, then the session itself.

A process id is used again within minutes on a busy server, so that a session is named by
`(pid, backend_start)`, and the statement that signals compares both. The signal goes first and the audit
entry after it, in the caller's transaction: were it the other way round, whoever holds the audit table
could never be ended. That the signal was sent is logged before, in case that the entry fails.
"""

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from django.db import connection
from django.utils.translation import gettext as _
from psycopg import sql as compose

from khaacho import audit, logs, permissions
from khaacho.actors import Actor, require_staff
from khaacho.exceptions import Conflict, Forbidden, NotFound
from khaacho.models import AuditLog
from khaacho.transactions import verb
from monitoring.database import access

log = logging.getLogger(__name__)

LOOKS, PAUSE = 20, 0.1  # two seconds to see what became of the session
QUERY_MAX = 1000


class SessionGone(NotFound):
    """This session has ended already; nothing was done."""

    code = "session_gone"


class SessionReplaced(Conflict):
    """The process number belongs to another session by now; nothing was done."""

    code = "session_replaced"


class NoRight(Forbidden):
    """The database does not let this program end that session. `remedy` is the statement that mends it."""

    code = "no_database_right"

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message} {remedy}", remedy=remedy)
        self.remedy = remedy


class Effect(StrEnum):
    """What was seen of the session within two seconds of the signal."""

    GONE = "gone"
    STOPPED = "stopped"  # the session lives, that statement does not run any more
    WAITING = "waiting"  # the signal was sent, the session has not obeyed yet


@dataclass(frozen=True)
class Session:
    """A session as it is now. What we have no right to see is None or empty."""

    pid: int
    backend_start: datetime | None
    is_reader: bool  # the session with which we look
    is_of_this_database: bool
    backend_type: str
    user: str
    is_superuser: bool
    application: str
    client: str
    state: str
    xact_seconds: float | None
    query_start: datetime | None
    query: str
    blocked: tuple[int, ...]

    @property
    def key(self) -> str:
        """Return what names the session in addresses: the pid and the microsecond of its beginning."""
        start = "" if self.backend_start is None else self.backend_start.isoformat()
        return f"{self.pid}@{start}"


@dataclass(frozen=True)
class Ended:
    """A signal that was sent, to whom, and what was seen of it."""

    session: Session
    effect: Effect


LOOK = """
SELECT a.pid, a.backend_start, a.pid = pg_backend_pid(),
    coalesce(a.datname = current_database(), false), coalesce(a.backend_type, ''),
    coalesce(a.usename, ''), coalesce(r.rolsuper, false), coalesce(a.application_name, ''),
    coalesce(host(a.client_addr), ''), coalesce(a.state, ''),
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8, a.query_start,
    left(coalesce(a.query, ''), %(long)s),
    ARRAY(SELECT b.pid FROM pg_stat_activity b
        WHERE b.wait_event_type = 'Lock' AND a.pid = ANY (pg_blocking_pids(b.pid)) ORDER BY b.pid)
FROM pg_stat_activity a LEFT JOIN pg_roles r ON r.oid = a.usesysid
WHERE a.pid = %(pid)s
"""
# The condition and the signal are one statement: nobody else can get the number in between. Whose a
# session is, of which database and which kind, never changes: `hindrance` asks that before.
SIGNAL = """
SELECT {function}(a.pid) FROM pg_stat_activity a
WHERE a.pid = %(pid)s AND a.backend_start = %(start)s
"""


def find(pid: int) -> Session:
    """Return the session with this process number as it is now. Raises SessionGone. One statement."""
    rows = access.fetch(LOOK, {"pid": pid, "long": QUERY_MAX})
    if not rows:
        raise SessionGone
    *values, blocked = rows[0]
    return Session(*[*values, tuple(blocked)])


def matching(pid: int, backend_start: datetime) -> Session:
    """Return the session if it is still the one that was seen. Raises SessionGone, SessionReplaced, NoRight."""
    session = find(pid)
    if session.backend_start is None:
        raise NoRight(_("The database hides whose session this is."), grant("pg_read_all_stats"))
    if session.backend_start != backend_start:
        raise SessionReplaced
    return session


def hindrance(session: Session, *, to_terminate: bool) -> str:
    """Say why the session may not be ended so, or nothing. At most one statement."""
    if session.is_reader or session.pid in _own():
        return _("it is the session of this very page")
    if session.backend_type and session.backend_type != "client backend":
        return _("it is a process of PostgreSQL itself: %s") % session.backend_type
    if not session.is_of_this_database:
        return _("it belongs to another database")
    if not to_terminate and session.state != "active":
        return _("it runs no statement: there is nothing to cancel, only the session to terminate")
    if to_terminate and session.state == "active" and not _was_cancelled(session):
        return _("it runs a statement: cancel that first, terminate only if it does not obey")
    return ""


@verb
def cancel_session(*, pid: int, backend_start: datetime, reason: str, actor: Actor) -> Ended:
    """End the statement that a session runs; its transaction fails, the session lives on.

    Raises SessionGone, SessionReplaced, Conflict when there is nothing to cancel, NoRight, Forbidden.
    """
    permissions.require(actor, "monitoring.cancel_session")
    session = _checked(pid, backend_start, actor, to_terminate=False)
    _signal(session, "pg_cancel_backend")
    return _recorded(actor, "session.cancelled", session, reason)


@verb
def terminate_session(*, pid: int, backend_start: datetime, reason: str, actor: Actor) -> Ended:
    """End a whole session; what it had not committed is undone, and its locks are free.

    One that runs a statement must have been cancelled before. Raises as `cancel_session`.
    """
    permissions.require(actor, "monitoring.terminate_session")
    session = _checked(pid, backend_start, actor, to_terminate=True)
    _signal(session, "pg_terminate_backend")
    return _recorded(actor, "session.terminated", session, reason)


def _checked(pid: int, backend_start: datetime, actor: Actor, *, to_terminate: bool) -> Session:
    require_staff(actor)
    session = matching(pid, backend_start)
    if why := hindrance(session, to_terminate=to_terminate):
        raise Conflict(_("Nothing was done: %s.") % why)
    return session


def _signal(session: Session, function: str) -> None:
    """Send the signal if the session is still the same. Raises as `cancel_session`."""
    log.warning(
        "session.signalled",
        extra={"pid": session.pid, "function": function, "application": session.application},
    )
    try:
        sent = access.fetch(
            SIGNAL.format(function=function),
            {"pid": session.pid, "start": session.backend_start},
        )
    except access.InsufficientPrivilege as error:
        raise _no_right(session) from error
    if not sent:
        matching(session.pid, session.backend_start)  # type: ignore[arg-type] # was compared before
        raise SessionReplaced


def _no_right(session: Session) -> NoRight:
    if session.is_superuser:
        return NoRight(
            _("Only a superuser may end a superuser's session. As one, in psql:"),
            f"SELECT pg_terminate_backend({session.pid});",
        )
    return NoRight(
        _("This program's database user may not end sessions of %s. As superuser:") % session.user,
        grant("pg_signal_backend"),
    )


def grant(role: str) -> str:
    """Return the statement that lets this program's database user do what it may not do yet."""
    user = str(access.fetch("SELECT current_user::text")[0][0])
    return f"GRANT {role} TO {compose.Identifier(user).as_string()};"


def _recorded(actor: Actor, action: str, session: Session, reason: str) -> Ended:
    ended = Ended(session, _effect(session, is_over=action == "session.terminated"))
    audit.record(
        actor,
        action,
        entity_type="session",
        entity_id=session.pid,
        reason=reason,
        backend_start=_text(session.backend_start),
        database_user=session.user,
        application=session.application,
        state=session.state,
        transaction_seconds=session.xact_seconds and round(session.xact_seconds, 1),
        query=logs.scrub(session.query)[:QUERY_MAX],
        blocked=list(session.blocked),
        effect=ended.effect.value,
    )
    return ended


def _effect(session: Session, *, is_over: bool) -> Effect:
    """Look for up to two seconds what became of the session."""
    for _look in range(LOOKS):
        try:
            now = find(session.pid)
        except SessionGone:
            return Effect.GONE
        if now.backend_start != session.backend_start:
            return Effect.GONE
        if not is_over and (now.state != "active" or now.query_start != session.query_start):
            return Effect.STOPPED
        time.sleep(PAUSE)
    return Effect.WAITING


def _was_cancelled(session: Session) -> bool:
    return AuditLog.objects.filter(
        entity_type="session",
        entity_id=session.pid,
        action="session.cancelled",
        new_values__backend_start=_text(session.backend_start),
    ).exists()


def _text(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat()


def _own() -> set[int]:
    """Return the process number of the connection that this request works on."""
    raw: Any = connection.connection
    return set() if raw is None else {raw.info.backend_pid}
