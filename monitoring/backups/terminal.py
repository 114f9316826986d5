"""How the commands of backups speak: lines for people, progress that a log can bear, and a clean end on SIGTERM."""

import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from django.core.management.base import OutputWrapper

EVERY = 5.0  # seconds between lines of progress, where nobody watches


def end_cleanly_on_sigterm() -> None:
    """Let cron's or systemd's SIGTERM unwind, so that nothing half is left."""
    signal.signal(signal.SIGTERM, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def progress(out: OutputWrapper, what: str) -> Callable[[int], None]:
    """Return what shows per cent: in place on a terminal, else in a line every few seconds."""
    shown = -1
    last = time.monotonic()

    def show(percent: int) -> None:
        nonlocal shown, last
        if percent == shown:
            return
        if sys.stdout.isatty():
            out.write(f"\r{what} {percent:3d} %", ending="\n" if percent >= 100 else "")
        elif percent < 100 and time.monotonic() - last < EVERY:
            return
        else:
            out.write(f"{what} {percent:3d} %")
        shown, last = percent, time.monotonic()

    return show


def size(count: float) -> str:
    """Return bytes for people: `820 B`, `1.4 MB`, `36.0 GB`, in thousands."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
