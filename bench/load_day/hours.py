"""When the day's orders come: quiet mornings, two peaks. Pure: the same count and seed, the same moments."""

import random
from collections.abc import Sequence
from itertools import accumulate

# How an hour of a market's day compares with the others: shops order when they open, after the noon, and before closing.
PROFILE = (4, 9, 14, 13, 9, 7, 9, 13, 13, 9)


def moments(count: int, hours: float, seed: int) -> list[float]:
    """Return the seconds since opening at which the orders of a day of so many hours are placed, in order."""
    chance = random.Random(f"hours {seed}")
    bounds = [0.0, *accumulate(PROFILE)]
    total, part = bounds[-1], hours * 3600 / len(PROFILE)

    def place(share: float) -> float:
        wanted = share * total
        hour = next(h for h in range(len(PROFILE)) if wanted <= bounds[h + 1])
        return (hour + (wanted - bounds[hour]) / PROFILE[hour]) * part

    return sorted(place(chance.random()) for _ in range(count))


def steadily(count: int, rate: float) -> list[float]:
    """Return the moments of so many orders at so many a second."""
    return [number / rate for number in range(count)]


def busiest_minute(seconds: Sequence[float]) -> int:
    """Return how many of the moments fall into the fullest minute."""
    counts: dict[int, int] = {}
    for moment in seconds:
        counts[int(moment // 60)] = counts.get(int(moment // 60), 0) + 1
    return max(counts.values(), default=0)
