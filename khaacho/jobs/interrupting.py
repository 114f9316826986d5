"""A worker that is told to stop lets its jobs end, for a while; what still runs then is handed back.

Not to wait for ever, nor to be killed, after which the job would wait for its lease: the process that does a
job is sent SIGNAL, its job breaks off wherever it is, and is due again at once, its attempt uncounted.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNAL = signal.SIGUSR2


class HandedBack(KeyboardInterrupt):
    """The job is to be given to another worker.

    No Exception: no job may mistake it for its own failure. Of this kind, psycopg also cancels the
    statement that the server is at.
    """


class _Process:
    is_working = False
    is_leaving = False


def listen() -> None:
    """Let this process's job be handed back on SIGNAL."""
    signal.signal(SIGNAL, _hand_back)


def is_leaving() -> bool:
    """Return whether this process is to begin no job any more."""
    return _Process.is_leaving


@contextmanager
def working() -> Iterator[None]:
    """Do a job: here and nowhere else SIGNAL raises HandedBack."""
    _Process.is_working = True
    try:
        yield
    finally:
        _Process.is_working = False


def _hand_back(_: int, __: FrameType | None) -> None:
    _Process.is_leaving = True
    if _Process.is_working:
        _Process.is_working = False
        raise HandedBack
