"""Time as a test may judge it: without what its thread stood in line for a processor."""

import time
from contextlib import suppress
from pathlib import Path

_SCHEDULER = Path("/proc/thread-self/schedstat")


class Stopwatch:
    """Runs from when it is made, in the thread that made it."""

    def __init__(self) -> None:
        self._begun, self._queued = time.monotonic(), _queued()

    @property
    def seconds(self) -> float:
        """Return what has passed while this thread worked or slept, in seconds."""
        return time.monotonic() - self._begun - (_queued() - self._queued)


def _queued() -> float:
    """Return for how many seconds this thread was ready to run and did not; 0 where nobody says."""
    with suppress(OSError):
        return int(_SCHEDULER.read_text().split()[1]) / 1e9  # Documentation/scheduler/sched-stats
    return 0.0
