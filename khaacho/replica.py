"""Lists, reports and exports read from a streaming replica, when that is as good as the primary.

    return replica.read(actor.user_id, lambda: self._list(request))

The work is a read that may be done twice: on the replica, and on the primary when that fails. It goes to the
replica when this has everything that the user wrote, is at most REPLICA_MAX_LAG_SECONDS behind, and answers.
Whether it does, a thread of each process looks (Watch): a request never waits to find out. See docs/replica.md.
"""

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.core.exceptions import MiddlewareNotUsed
from django.db import DEFAULT_DB_ALIAS, Error, InterfaceError, OperationalError, connections
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from khaacho import positions, reading
from khaacho.api import problems
from khaacho.api.authentication import identify
from khaacho.breaker import Breaker, breaker_of
from khaacho.reading import REPLICA
from khaacho.tokens import TokenRefused

log = logging.getLogger(__name__)

T = TypeVar("T")
Handler = Callable[[HttpRequest], HttpResponseBase]

LOOK_SECONDS = 0.5  # between two looks
IDLE_SECONDS = 30.0  # after the last list, nobody looks any more
CONNECT_SECONDS = 2
PAUSE_SECONDS = 0.05
KEPT_LOOKS = 1000
LOOK = "SELECT pg_is_in_recovery(), pg_wal_lsn_diff(coalesce(pg_last_wal_replay_lsn(), '0/0'), '0/0')::bigint"
QUERY_CANCELED = "57014"
SAFE = {"GET", "HEAD", "OPTIONS", "TRACE"}


def is_configured() -> bool:
    return REPLICA in settings.DATABASES


def read(user_id: int | None, work: Callable[[], T]) -> T:
    """Return what the work returns, read from the replica if it may be, else from the primary.

    What fails there is done again on the primary, whatever it was; `user_id` None is somebody who wrote
    nothing. In a transaction, or pinned, it is the primary.
    """
    if not _may_read(user_id):
        return work()
    try:
        with reading.from_replica():
            return work()
    except Error as error:
        _failed(error)
    return work()


def _may_read(user_id: int | None) -> bool:
    if not is_configured() or reading.is_pinned():
        return False
    seen = watch().seen()
    if seen is None:
        return False
    if user_id is None:
        return True
    position = positions.of(user_id)
    if position is None:
        positions.remember(user_id)  # from the next list on, something is known
        return False
    return position <= seen or _has_replayed(position)


def _has_replayed(position: int) -> bool:
    """Ask the replica itself: the last look may be half a second old."""
    try:
        with connections[REPLICA].cursor() as cursor:
            cursor.execute(LOOK)
            is_replica, replayed = cursor.fetchone()
    except Error as error:
        _failed(error)
        return False
    return bool(is_replica and position <= replayed)


def _failed(error: Error) -> None:
    """Say so, and leave the replica alone for a while when it was its connection that failed."""
    state = getattr(error.__cause__, "sqlstate", None) or ""
    is_lost = isinstance(error, OperationalError | InterfaceError) and (
        not state or (state[:2] in {"08", "57"} and state != QUERY_CANCELED)
    )
    log.warning("replica.failed", extra={"sqlstate": state, "error": type(error).__name__})
    with suppress(Error):
        connections[REPLICA].close()
    if is_lost:
        watch().leave("down")


def caught_up(seconds: float) -> Any | None:
    """Return a connection of its own to the replica once that has all that is committed now.

    None when there is none, or it is not so far within REPLICA_MAX_LAG_SECONDS. Each wait on the
    connection ends after `seconds`; the caller closes it.
    """
    if not is_configured() or _breaker().open_until > time.monotonic():
        return None
    own = _own(REPLICA)
    try:
        wanted, until = positions.current(), time.monotonic() + settings.REPLICA_MAX_LAG_SECONDS
        while True:
            is_replica, replayed = _ask(own, LOOK)
            if is_replica and replayed >= wanted:
                own.connection.patience = seconds
                return own
            if not is_replica or time.monotonic() > until:
                log.warning("replica.late", extra={"bytes": wanted - replayed})
                break
            time.sleep(PAUSE_SECONDS)
    except Error as error:
        log.warning("replica.failed", extra={"error": type(error).__name__})
    own.close()
    return None


def _own(alias: str) -> Any:
    """Return a connection of no pool."""
    own: Any = connections[alias].copy()
    own.settings_dict["OPTIONS"].pop("pool", None)
    own.settings_dict["OPTIONS"]["connect_timeout"] = CONNECT_SECONDS
    return own


def _ask(own: Any, statement: str) -> Any:
    with own.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


def _breaker() -> Breaker:
    return breaker_of(settings.DATABASE_REPLICA_URL)


@dataclass(frozen=True)
class Seen:
    """A look at the replica: it had `replayed` so much, and is fresh enough until a moment of time.monotonic()."""

    replayed: int = 0
    until: float = 0.0


class Watch(threading.Thread):
    """Looks how far primary and replica are, twice a second while lists are asked for.

    The replica is as late as the newest of the primary's positions that it has replayed is old. So a
    replica that hears nothing, and takes itself for complete, is late too; and a watch that hangs lets
    its last look expire.
    """

    def __init__(self) -> None:
        super().__init__(name="replica", daemon=True)
        self._seen = Seen()
        self._written: deque[tuple[float, int]] = deque(maxlen=KEPT_LOOKS)
        self._wanted = threading.Event()
        self._wanted_at = 0.0
        self._trouble = "unknown"
        self._primary = _own(DEFAULT_DB_ALIAS)
        self._replica = _own(REPLICA)
        for own in (self._primary, self._replica):
            own.inc_thread_sharing()  # made by the thread that starts this one

    def seen(self) -> int | None:
        """Return how much the replica had replayed at the last look; None when it is not to be used."""
        self._wanted_at = time.monotonic()
        if not self._wanted.is_set():
            self._wanted.set()
        seen = self._seen
        return seen.replayed if time.monotonic() < seen.until else None

    def leave(self, trouble: str) -> None:
        """Use the replica no more until a look finds it well."""
        self._seen = Seen()
        if trouble == "down":
            _breaker().trip()
        if self._trouble != trouble:
            self._trouble = trouble
            log.warning("replica.left", extra={"reason": trouble})

    def run(self) -> None:
        while True:
            self._wanted.wait()
            self._look_safely()
            time.sleep(LOOK_SECONDS)
            if time.monotonic() - self._wanted_at > IDLE_SECONDS:
                self._wanted.clear()
                self._hang_up()

    def _look_safely(self) -> None:
        try:
            self.look()
        except Exception:  # this thread must outlive whatever went wrong once
            log.exception("replica.unwatched")
            self._hang_up()

    def look(self) -> None:
        """Look once at both."""
        begun = time.monotonic()
        try:
            self._written.append((begun, int(_ask(self._primary, positions.CURRENT)[0])))
        except Error:
            self._primary.close()
            self.leave("primary")
            return
        if not _breaker().permits():
            return
        try:
            is_replica, replayed = _ask(self._replica, LOOK)
        except Error:
            self._replica.close()
            self.leave("down")
            return
        _breaker().reset()
        if is_replica:
            self._judge(int(replayed))
        else:
            self.leave("promoted")

    def _judge(self, replayed: int) -> None:
        """Find out how late it is, and use it if that is little enough."""
        current_at = 0.0
        while self._written and self._written[0][1] <= replayed:
            current_at = self._written.popleft()[0]
        if current_at:
            self._seen = Seen(replayed, current_at + settings.REPLICA_MAX_LAG_SECONDS)
        elif self._seen.until:
            self._seen = Seen(replayed, self._seen.until)
        if time.monotonic() >= self._seen.until:
            self.leave("late")
        elif self._trouble:
            self._trouble = ""
            log.info("replica.used")

    def _hang_up(self) -> None:
        for own in (self._primary, self._replica):
            with suppress(Error):
                own.close()


_watch: Watch | None = None
_starting = threading.Lock()


def watch() -> Watch:
    """Return this process's watch, started when it is first asked for."""
    global _watch  # noqa: PLW0603 - one per process
    if _watch is None:
        with _starting:
            if _watch is None:
                begun = Watch()
                begun.start()
                _watch = begun
    return _watch


def _forget() -> None:
    """A child has no threads but its own."""
    global _watch, _starting
    _watch, _starting = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def remember_writes(get_response: Handler) -> Handler:
    """Note after each request that may have written how far the log was, before its user hears of it."""
    if not is_configured():
        raise MiddlewareNotUsed

    def middleware(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request)
        if request.method not in SAFE:
            user_id = _user_of(request)
            if user_id is not None:
                positions.remember(user_id)
        return response

    return middleware


def _user_of(request: HttpRequest) -> int | None:
    """Return whose request it was, without a query."""
    if not problems.is_api(request):
        session = getattr(request, "session", None)
        found = session.get(SESSION_KEY) if session is not None else None
        return int(found) if found else None
    try:
        actor = identify(request)
    except TokenRefused:
        return None
    return actor.user_id if actor else None
