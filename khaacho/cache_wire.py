"""Commands to Redis by a deadline: what caches and rate limits speak, a tenth of a millisecond each.

redis-py bounds each system call, so that a server which drips bytes holds a request for as long as it
likes; and two thirds of its 70 µs per command are its own. Here a command, connecting and answer
included, ends by its deadline or raises Unavailable, and costs 30 µs, which is what the kernel takes
(docs/caches.md has the figures). One connection per thread; answers are RESP2.
"""

import itertools
import logging
import os
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha1
from ipaddress import ip_address
from typing import Any, TypeAlias

from django.conf import settings
from redis.connection import parse_url

from khaacho import cache_budget
from khaacho.breaker import breaker_of

log = logging.getLogger(__name__)

Reply: TypeAlias = "bytes | int | list[Reply] | None"
Argument: TypeAlias = bytes | str | int

MAX_REPLY = 1024 * 1024  # bytes; more is no answer to anything we ask
MAX_ITEMS = 64
MAX_DEPTH = 2
FAIR_SECONDS = 0.05  # a server that had less time to answer is not said to have failed


class Unavailable(Exception):
    """Redis does not answer in time, refuses, or talks nonsense; do without it."""


class _Refused(Exception):
    """An error reply: out of memory, loading, no such script."""


class _Late(TimeoutError):
    """The time is up, and Redis is not to blame: this thread did not get its turn."""


class _Nonsense(ValueError):
    """Not a reply of Redis."""


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
    try:
        reply = _wire(url).run(script, keys, arguments, begun + seconds)
    except _Late as error:
        raise Unavailable from error
    except (OSError, ValueError, _Refused) as error:
        if breaker.trip():
            log.warning("redis.failed", extra={"error": _described(error)})
        raise Unavailable from error
    finally:
        cache_budget.spend(begun)
    breaker.reset()
    return reply


def _described(error: Exception) -> str:
    """Name the failure without what Redis wrote, which may be anything."""
    code = str(error).partition(" ")[0] if isinstance(error, _Refused) else ""
    return f"{type(error).__name__} {code}".strip()[:60]


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


class Wire:
    """A connection that reconnects; anything that goes wrong closes it, so that answers never shift."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.pid = os.getpid()
        self.space = b""
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._deadline = 0.0
        self._answering = False  # some of the answer has come

    def run(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument], deadline: float
    ) -> Reply:
        """Return the script's reply by `deadline` (time.monotonic()). Raises OSError, ValueError, _Refused."""
        self._deadline = deadline
        try:
            return self._run(script, keys, arguments)
        except BaseException:
            self.close()
            raise

    def _run(self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]) -> Reply:
        was_open = self._socket is not None
        if not was_open:
            self._connect()
        try:
            return self._evaluated(script, keys, arguments)
        except ConnectionError:
            if not was_open:
                raise
            self.close()  # the server restarted while the connection was idle
            self._connect()
            return self._evaluated(script, keys, arguments)

    def _evaluated(
        self, script: Script, keys: Sequence[str], arguments: Sequence[Argument]
    ) -> Reply:
        rest = [len(keys), *(self.space + key.encode() for key in keys), *arguments]
        try:
            return self._call("EVALSHA", script.digest, *rest)
        except _Refused as error:
            if not str(error).startswith("NOSCRIPT"):
                raise
            return self._call("EVAL", script.text, *rest)

    def __del__(self) -> None:
        self.close()  # its thread ended

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        self._buffer = b""

    def _call(self, *parts: Argument) -> Reply:
        assert self._socket is not None
        if self._buffer:
            raise _Nonsense  # an answer to nothing that was asked
        self._answering = False
        self._socket.settimeout(self._left())
        self._socket.sendall(_packed(parts))
        return self._reply()

    def _left(self) -> float:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise _Late
        return left

    # Reading

    def _reply(self, depth: int = 0) -> Reply:
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self._exactly(size)
        if kind == b":":
            return int(rest)
        if kind == b"+":
            return rest
        if kind == b"-":
            raise _Refused(rest.decode("ascii", "replace"))
        if kind != b"*" or depth > MAX_DEPTH or not 0 <= int(rest) <= MAX_ITEMS:
            raise _Nonsense
        return [self._reply(depth + 1) for _ in range(int(rest))]

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            if len(self._buffer) > 1024:
                raise _Nonsense
            self._receive()
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    def _exactly(self, size: int) -> bytes:
        if size > MAX_REPLY:
            raise _Nonsense
        parts, wanted = [self._buffer], size + 2 - len(self._buffer)
        while wanted > 0:
            self._buffer = b""
            self._receive()
            parts.append(self._buffer)
            wanted -= len(self._buffer)
        whole = b"".join(parts)
        if whole[size : size + 2] != b"\r\n":
            raise _Nonsense
        self._buffer = whole[size + 2 :]
        return whole[:size]

    def _receive(self) -> None:
        assert self._socket is not None
        # What has arrived by the deadline counts, though this thread had to wait for its turn to look.
        patience = max(0.0, self._deadline - time.monotonic())
        self._socket.settimeout(patience)
        try:
            received = self._socket.recv(65536)
        except (BlockingIOError, TimeoutError):
            is_fair = patience >= FAIR_SECONDS or self._answering
            raise (TimeoutError if is_fair else _Late) from None
        if not received:
            raise ConnectionResetError
        self._answering = True
        self._buffer += received

    # Connecting

    def _connect(self) -> None:
        known = _address(self.url)
        self._socket = self._opened(known)
        if "password" in known:
            self._call(
                "AUTH", *([known["username"]] if "username" in known else []), known["password"]
            )
        if known.get("db"):
            self._call("SELECT", known["db"])
        about = self._call("INFO", "server")
        run_id = about.partition(b"run_id:")[2][:12] if isinstance(about, bytes) else b""
        self.space = b"khaacho:" + run_id + b":"

    def _opened(self, known: dict[str, Any]) -> socket.socket:
        if "path" in known:
            opened = socket.socket(socket.AF_UNIX)
            opened.settimeout(self._left())
            opened.connect(known["path"])
            return opened
        host, port = known.get("host", "localhost"), known.get("port", 6379)
        plain = self._first_of(self._addresses(host, port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if not self.url.startswith("rediss:"):
            return plain
        return _tls(known.get("ssl_ca_certs")).wrap_socket(plain, server_hostname=host)

    def _first_of(self, addresses: Sequence[tuple[str, int]]) -> socket.socket:
        """Connect to the first address that takes us."""
        for address in addresses[:-1]:
            with suppress(ConnectionError):
                return socket.create_connection(address, self._left())
        return socket.create_connection(addresses[-1], self._left())

    def _addresses(self, host: str, port: int) -> list[tuple[str, int]]:
        """Look a name up on another thread: nothing else bounds the resolver's time."""
        with suppress(ValueError):
            return [(str(ip_address(host)), port)]
        found: list[tuple[str, int]] = []

        def look_up() -> None:
            with suppress(OSError):
                known = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
                found.extend((str(entry[4][0]), port) for entry in known)

        lookup = threading.Thread(target=look_up, daemon=True)
        lookup.start()
        lookup.join(self._left())
        if not found:
            raise ConnectionRefusedError
        return found


def _packed(parts: Sequence[Argument]) -> bytes:
    out = [b"*%d\r\n" % len(parts)]
    for part in parts:
        text = part if isinstance(part, bytes) else str(part).encode()
        out += (b"$%d\r\n" % len(text), text, b"\r\n")
    return b"".join(out)


@cache
def _address(url: str) -> dict[str, Any]:
    """Return what a redis://, rediss:// or unix:// URL says, as redis-py reads it."""
    return dict(parse_url(url))  # type: ignore[no-untyped-call]


@cache
def _tls(authorities: str | None) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=authorities)
