"""A server that failed is left alone for a while, by everything in this process that talks to it."""

import threading
import time
from dataclasses import dataclass, field
from functools import cache
from urllib.parse import urlsplit

BREAKER_SECONDS = 5.0


@dataclass
class Breaker:
    """Open after a failure: then only one caller tries every BREAKER_SECONDS, and no other waits."""

    open_until: float = 0.0
    prober: int = 0
    _turn: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def permits(self) -> bool:
        """Whether this thread may try; the one that may while others wait keeps its leave until it knows."""
        if not self.open_until:
            return True
        with self._turn:
            now, me = time.monotonic(), threading.get_ident()
            if now >= self.open_until:
                self.open_until, self.prober = now + BREAKER_SECONDS, me
            return self.prober == me

    def trip(self) -> bool:
        """Open; return whether it was closed before, so that a failure is logged once."""
        was_closed = not self.open_until
        self.open_until = time.monotonic() + BREAKER_SECONDS
        self.prober = 0
        return was_closed

    def reset(self) -> None:
        if self.open_until:
            self.open_until, self.prober = 0.0, 0


@cache
def breaker_of(url: str) -> Breaker:
    """Return the one breaker of the server at a URL, whichever database of it is meant."""
    parts = urlsplit(url)
    return _breaker(f"{parts.hostname}:{parts.port}" if parts.hostname else parts.path)


@cache
def _breaker(server: str) -> Breaker:
    return Breaker()


def close_all() -> None:
    """Believe every server to be well again."""
    breaker_of.cache_clear()
    _breaker.cache_clear()
