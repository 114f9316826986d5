"""Scripts run in Redis by a deadline: what caches and rate limits ask of it.

redis-py speaks the protocol and keeps the connection; its timeouts are for each system call, so that a
server which drips bytes would hold a request for as long as it likes. Here all of a call, connecting
included, ends by one moment or raises Unavailable. One connection per thread (docs/caches.md).
"""

import itertools
import logging
import os
import secrets
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from django.conf import settings
from redis import exceptions
from redis.backoff import NoBackoff
from redis.connection import Connection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.retry import Retry

from khaacho import cache_budget, origins
from khaacho.breaker import breaker_of
from khaacho.cache_connections import Deadlined

log = logging.getLogger(__name__)

Reply: TypeAlias = "bytes | int | list[Reply] | None"
Argument: TypeAlias = bytes | str | int


FAIR_SECONDS = 0.05  # a server that had less time to answer is not said to have failed


class Unavailable(Exception):
    """Redis does not answer in time, refuses, or talks nonsense; do without it."""


class _Late(Exception):
    """The time is up, and Redis is not to blame: this thread did not get its turn."""


@dataclass(frozen=True)
class Script:
    """A Lua script, sent by its digest and in full only to a server that has not seen it."""

    text: str
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        object.__setattr__(self, "digest", digest)


def ask(script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
    """Run a script on keys of ours and return its reply, within the request's budget.

    Keys live in a name space of the server's own run: a server that restarts from an old snapshot,
    or a replica that takes over, begins with empty caches. Raises Unavailable.
    """
    begun = time.monotonic()
    seconds = cache_budget.left()
    url: str = settings.CACHE_URL
    breaker = breaker_of(url)
    if seconds <= 0 or not breaker.permits():
        raise Unavailable
    outcome = origins.FAILED
    try:
        reply = _wire(url).run(script, keys, arguments, begun + seconds)
        outcome = origins.DONE
    except _Late as error:
        raise Unavailable from error
    except (OSError, ValueError, RecursionError, exceptions.RedisError) as error:
        if breaker.trip():
            log.warning("redis.failed", extra={"error": type(error).__name__})
        raise Unavailable from error
    finally:
        cache_budget.spend(begun)
        origins.asked_cache(time.monotonic() - begun, outcome)
    breaker.reset()
    return reply


_numbers = itertools.count()
_process = secrets.token_hex(4)


def nonce() -> str:
    """Return a short text that no other call returns, in this process or another."""
    return f"{_process}{os.getpid():x}.{next(_numbers):x}"


class _Local(threading.local):
    wire: "Wire | None" = None


_local = _Local()


def _wire(url: str) -> "Wire":
    """Return this thread's connection, which is no other process's."""
    wire = _local.wire
    if wire is None or wire.url != url or wire.pid != os.getpid():
        if wire is not None:
            wire.close()
        wire = _local.wire = Wire(url)
    return wire


class _ByDeadline:
    """Mixed into redis-py's connections: whatever they wait for ends at `deadline` (time.monotonic())."""

    deadline = 0.0
    socket_timeout: Any
    socket_connect_timeout: Any

    def _connect(self) -> Any:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _Late
        self.socket_connect_timeout = self.socket_timeout = left
        opened = Deadlined(super()._connect())  # type: ignore[misc] # of the class beside
        opened.until(self.deadline)
        return opened


class _Plain(_ByDeadline, Connection):
    pass


class _TLS(_ByDeadline, SSLConnection):
    pass


class _Unix(_ByDeadline, UnixDomainSocketConnection):
    pass


_KINDS: dict[str, Any] = {"rediss": _TLS, "unix": _Unix}


class Wire:
    """A connection that reconnects; anything that goes wrong closes it, so that answers never shift."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pid = os.getpid()
        self.space = ""
        self._is_at_rest = True  # nothing is on its way
        options = {k: v for k, v in parse_url(url).items() if k != "connection_class"}  # type: ignore[no-untyped-call]
        self._connection: Any = _KINDS.get(urlsplit(url).scheme, _Plain)(
            **options, protocol=2, retry=Retry(NoBackoff(), 0), driver_info=None
        )

    def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], deadline: float
    ) -> Reply:
        """Return the script's reply by `deadline` (time.monotonic()).

        Raises _Late, OSError, ValueError, RecursionError, RedisError.
        """
        try:
            return self._run(script, keys, arguments, deadline)
        except exceptions.TimeoutError as error:
            opened = self._connection._sock
            if opened and opened.patience < FAIR_SECONDS and not opened.is_answering:
                raise _Late from error
            raise
        finally:
            if not self._is_at_rest:
                self.close()

    def close(self) -> None:
        self._connection.disconnect()

    def __del__(self) -> None:
        self.close()  # its thread ended

    def _run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], deadline: float
    ) -> Reply:
        was_open = self._connection._sock is not None
        self._is_at_rest = False
        self._open(deadline)
        try:
            reply = self._evaluated(script, keys, arguments)
        except exceptions.ConnectionError:
            if not was_open:
                raise
            self.close()  # the server restarted while the connection was idle
            self._open(deadline)
            reply = self._evaluated(script, keys, arguments)
        self._is_at_rest = True
        return reply

    def _open(self, deadline: float) -> None:
        self._connection.deadline = deadline
        if self._connection._sock is not None:
            self._connection._sock.until(deadline)
            return
        self._connection.connect()
        about = self._call("INFO", "server")
        run_id = about.partition(b"run_id:")[2][:12] if isinstance(about, bytes) else b""
        self.space = f"khaacho:{run_id.decode('ascii', 'replace')}:"

    def _evaluated(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Reply:
        rest = [len(keys), *(self.space + key for key in keys), *arguments]
        try:
            return self._call("EVALSHA", script.digest, *rest)
        except exceptions.NoScriptError:
            return self._call("EVAL", script.text, *rest)

    def _call(self, *parts: Argument) -> Reply:
        self._connection.send_command(*parts, check_health=False)
        reply: Reply = self._connection.read_response(disable_decoding=True)
        return reply
