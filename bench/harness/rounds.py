"""Competitors measured in turn, in short rounds: what slows the machine down slows all of them down."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

ROUND = 5  # calls of one competitor before the next has its turn
LEAST_ROUNDS = 3

Call = Callable[[], object]
K = TypeVar("K")


@dataclass(frozen=True)
class Spread:
    """The median of some figures, and the quartiles around it."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: list[float]) -> "Spread":
        """Return the spread of at least one figure."""
        if len(figures) == 1:
            return cls(figures[0], figures[0], figures[0])
        low, median, high = statistics.quantiles(figures, n=4, method="inclusive")
        return cls(median, low, high)

    def __str__(self) -> str:
        return f"{self.median:.3f} ({self.low:.3f}-{self.high:.3f})"


def alternate(
    calls: Mapping[K, Call],
    requests: int,
    *,
    size: int = ROUND,
    clock: Callable[[], float] = time.process_time,
) -> dict[K, Spread]:
    """Return each competitor's ms of CPU per call, over rounds of `size` calls of each.

    Each has at least 3 rounds, after one that is not counted. The order turns with every round, so
    that nobody always follows the same other. Between rounds nothing is measured.
    """
    names = list(calls)
    figures: dict[K, list[float]] = {name: [] for name in names}
    for call in calls.values():
        _timed(call, size, clock)
    for number in range(max(LEAST_ROUNDS, requests // size)):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            figures[name].append(_timed(calls[name], size, clock))
    return {name: Spread.of(found) for name, found in figures.items()}


def _timed(call: Call, size: int, clock: Callable[[], float]) -> float:
    begin = clock()
    for _ in range(size):
        call()
    return (clock() - begin) * 1000 / size


def percentiles(seconds: list[float]) -> tuple[float, float, float]:
    """Return p50, p95 and p99 in ms of at least one duration, each one that occurred."""
    ordered = sorted(seconds)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] * 1000

    return at(0.50), at(0.95), at(0.99)
