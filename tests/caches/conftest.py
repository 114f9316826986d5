"""A Redis of these tests' own, which they may freeze, fill and kill; pages that say who computed them."""

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis

from khaacho import breaker
from khaacho.caches import Page, Slot, Visit
from tests.processes import RedisServer, redis_server
from tests.stopwatch import Stopwatch

SLOT = Slot("a page", ("shelf", "shop"), 600)


def page(text: str = "x") -> Page:
    return Page(text.encode(), f'"{text[:40]}"', "Content-Type: application/json")


def look(compute: Callable[[], Page | None] | str, slot: Slot = SLOT) -> str | None:
    """Return the text of the slot's page, computed if need be."""
    make = (lambda: page(compute)) if isinstance(compute, str) else compute
    found = Visit(slot).page_or(make)
    return None if found is None else found.body.decode()


@contextlib.contextmanager
def at_most(seconds: float) -> Iterator[None]:
    watch = Stopwatch()
    yield
    assert watch.seconds < seconds


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server("secret") as started:
        yield started


@pytest.fixture
def own(server: RedisServer, settings) -> Iterator[RedisServer]:
    """This module's Redis, empty and well, as the one of pages, rates and sessions."""
    if server.process is None:
        server.start()
    settings.CACHE_URL = server.url
    settings.CACHES = {"default": settings.CACHES["default"] | {"LOCATION": server.url}}
    with server.client as client:
        client.config_set("maxmemory", 0)
        client.flushall()
    breaker.close_all()
    yield server
    if server.process:
        server.thaw()


@pytest.fixture
def client(_redis: redis.Redis) -> redis.Redis:
    """The session's Redis, to look into."""
    return _redis


class Speaker:
    """A server that answers whatever it is sent with the same bytes, slowly if told so."""

    def __init__(self, answer: bytes, pause: float = 0.0) -> None:
        self.answer, self.pause = answer, pause
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self.listener.getsockname()[1]}/0"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            while connection.recv(65536):
                for byte in (self.answer[i : i + 1] for i in range(len(self.answer))):
                    connection.sendall(byte if self.pause else self.answer)
                    if not self.pause:
                        break
                    time.sleep(self.pause)
