"""Samples into figures: percentiles of each kind of request, and where the knee lies. Pure."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

READ_MS, ORDER_MS = (
    200.0,
    500.0,
)  # what p95 of reads and of order creation may take (docs/performance.md, target 9)
ERRORS_MOST = 0.01  # share of requests
SERVED_LEAST = 0.9  # of the orders that were offered
ORDER = "place order"
READS = ("list", "read", "dashboard")  # how the names of reads begin


@dataclass(frozen=True)
class Times:
    """How long one kind of request took, in ms, and how many failed."""

    count: int
    failed: int
    p50: float
    p95: float
    p99: float
    most: float

    @classmethod
    def of(cls, samples: Sequence[tuple[float, bool]]) -> "Times":
        """Measure (ms, whether it was answered). Of a failed one the time counts too."""
        took = sorted(ms for ms, _ in samples)
        if not took:
            return cls(0, 0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99 = (took[min(len(took) - 1, int(len(took) * p))] for p in (0.5, 0.95, 0.99))
        return cls(len(took), sum(not fine for _, fine in samples), p50, p95, p99, took[-1])


@dataclass(frozen=True)
class Run:
    """What one run measured. `kinds` by the request's name; `minutes` is (minute, p95 of reads, p95 of orders)."""

    seconds: float
    late: float
    kinds: Mapping[str, Times]
    reads: Times
    orders: Times
    minutes: Sequence[tuple[float, float, float]]

    @property
    def requests(self) -> int:
        return sum(times.count for times in self.kinds.values())

    @property
    def failed(self) -> int:
        return sum(times.failed for times in self.kinds.values())


def is_read(name: str) -> bool:
    """Whether a request of this name only reads."""
    return name.startswith(READS)


def measure(path: Path, slices: int = 30) -> Run:
    """Read what Locust wrote: a sample a line, then what the whole run took."""
    lines = path.read_text(encoding="utf-8").splitlines()
    whole = json.loads(lines[-1])
    kinds: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    width = max(1.0, whole["seconds"] / slices)
    parts: dict[int, tuple[list[tuple[float, bool]], list[tuple[float, bool]]]] = {}
    for line in lines[:-1]:
        at, name, ms, fine = json.loads(line)
        kinds[name].append((ms, fine))
        reads, orders = parts.setdefault(int(at // width), ([], []))
        if is_read(name):
            reads.append((ms, fine))
        elif name == ORDER:
            orders.append((ms, fine))
    return Run(
        seconds=whole["seconds"],
        late=whole["late"],
        kinds={name: Times.of(kinds[name]) for name in sorted(kinds)},
        reads=Times.of([s for name, found in kinds.items() if is_read(name) for s in found]),
        orders=Times.of(kinds.get(ORDER, [])),
        minutes=[
            (part * width, Times.of(reads).p95, Times.of(orders).p95)
            for part, (reads, orders) in sorted(parts.items())
        ],
    )


@dataclass(frozen=True)
class Step:
    """Orders a second that were offered for so long, and what came of it."""

    offered: float
    seconds: float
    run: Run
    jobs_left: int

    @property
    def served(self) -> float:
        """Return the orders a second that were answered."""
        return (self.run.orders.count - self.run.orders.failed) / self.seconds

    def troubles(self) -> list[str]:
        """Say what is over its limit."""
        run = self.run
        found = []
        if run.orders.p95 > ORDER_MS:
            found.append(f"p95 of orders is {run.orders.p95:.0f} ms")
        if run.reads.p95 > READ_MS:
            found.append(f"p95 of reads is {run.reads.p95:.0f} ms")
        if run.requests and run.failed / run.requests > ERRORS_MOST:
            found.append(f"{run.failed / run.requests:.1%} of requests failed")
        if run.orders.count < SERVED_LEAST * self.offered * self.seconds:
            found.append(f"{self.served:.1f} of {self.offered:g} orders a second were answered")
        return found


def knee(steps: Sequence[Step]) -> tuple[float, list[str]]:
    """Return the last rate at which all was well, and what was over its limit at the next; 0 for none."""
    well = 0.0
    for step in steps:
        if troubles := step.troubles():
            return well, troubles
        well = step.offered
    return well, []
