"""Prometheus' text format 0.0.4: families of samples, as text.

Written here and not by prometheus_client, whose code for a sample is several calls for each label; the
tests read what is written with that library's parser.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from monitoring import durations

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# Upper bounds of Prometheus' buckets in seconds, and the bucket of ours (microseconds, growing by a tenth)
# that ends there: no duration is counted on the wrong side.
_ABOUT = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
EDGES: tuple[tuple[int, str], ...] = tuple(
    (number, f"{durations.GROWTH**number / 1e6:.4g}")
    for number in (round(math.log(bound * 1e6) / math.log(durations.GROWTH)) for bound in _ABOUT)
)


@dataclass
class Exposition:
    """The page as it grows; one family after the other."""

    lines: list[str] = field(default_factory=list)

    def family(self, name: str, kind: str, says: str) -> None:
        """Begin a family; its samples follow."""
        self.lines.append(f"# HELP {name} {says}\n# TYPE {name} {kind}\n")

    def sample(self, name: str, value: float | None, **labels: str) -> None:
        """Add a sample; of what could not be read, none."""
        if value is not None:
            self.lines.append(f"{name}{_braces(labels)} {_number(value)}\n")

    def histogram(
        self, name: str, buckets: Mapping[int, int], seconds: float, **labels: str
    ) -> None:
        """Add a histogram's samples, of counts by bucket of monitoring/durations.py in microseconds."""
        inner = "".join(f'{key}="{_escaped(value)}",' for key, value in labels.items())
        for bound, count in cumulated(buckets):
            self.lines.append(f'{name}_bucket{{{inner}le="{bound}"}} {count}\n')
        around = _braces(labels)
        self.lines.append(f"{name}_sum{around} {_number(seconds)}\n")
        self.lines.append(f"{name}_count{around} {sum(buckets.values())}\n")

    def text(self) -> str:
        return "".join(self.lines)


def cumulated(buckets: Mapping[int, int]) -> Iterable[tuple[str, int]]:
    """Return how many were at most as long as each bound, which the last has none of."""
    counts = sorted(buckets.items(), reverse=True)
    total = 0
    for edge, bound in EDGES:
        while counts and counts[-1][0] <= edge:
            total += counts.pop()[1]
        yield bound, total
    yield "+Inf", total + sum(count for _, count in counts)


def _braces(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{key}="{_escaped(value)}"' for key, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
