"""How long things lasted, kept as counts in buckets that grow by a tenth (DDSketch, Masson et al., VLDB 2019).

Bucket 0 holds what took at most a millisecond, bucket n what took more than GROWTH ** (n - 1) and at
most GROWTH ** n ms. A bucket is read as the value that is wrong by the same share at both its ends: no
percentile is off by more than ERROR, 4.8 %, or by a millisecond below one. Buckets of different
minutes add up, which percentiles do not.
"""

import math
from collections.abc import Iterable, Mapping

GROWTH = 1.1
ERROR = (GROWTH - 1) / (GROWTH + 1)

# The bucket of the time between two columns, as PostgreSQL computes it; clocks never run backwards here.
BUCKET = (
    "ceil(ln(greatest(1, date_part('epoch', {until} - {since}) * 1000))"
    f" / {math.log(GROWTH)!r})::int"
)


def bucket(milliseconds: float) -> int:
    """Return the bucket of a duration."""
    return math.ceil(math.log(max(1.0, milliseconds)) / math.log(GROWTH))


def value(number: int) -> float:
    """Return what a bucket stands for, in ms."""
    return 2 * GROWTH**number / (GROWTH + 1) if number else 1.0


def added(parts: Iterable[Mapping[str, int]]) -> dict[int, int]:
    """Return the sum of such counts, whose buckets JSON keeps as text."""
    total: dict[str, int] = {}
    for part in parts:
        for number, count in part.items():
            total[number] = total.get(number, 0) + count
    return {int(number): count for number, count in total.items()}


def percentile(counts: Mapping[int, int], share: float) -> float | None:
    """Return the ms that this share of the durations did not exceed (nearest rank); None without any."""
    rank = math.ceil(share * sum(counts.values()))
    for number in sorted(counts):
        rank -= counts[number]
        if rank <= 0:
            return value(number)
    return None
