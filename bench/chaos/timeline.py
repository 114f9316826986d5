"""What is broken when: drawn from a seed, so that a run can be said again."""

import random
from collections.abc import Collection, Iterator
from dataclasses import dataclass

FIRST = (1.0, 2.5)  # seconds after the start at which a track's first fault comes
GAP_LEAST, GAP_MOST = 2.0, 10.0  # seconds between two faults of a track
SPREAD = (0.7, 1.3)  # by which a gap is longer or shorter than the rest
AFTER_LEASE = (
    6.0,
    8.0,
)  # seconds that a zombie sleeps beyond its lease: a sweep, and another's turn


@dataclass(frozen=True)
class Fault:
    """A thing that happens. Faults of one track follow each other, those of several overlap.

    It lasts between the two `seconds`; `fails_requests` when a request meanwhile may fail.
    """

    name: str
    track: str
    seconds: tuple[float, float]
    what: str
    fails_requests: bool = False


FAULTS = {
    fault.name: fault
    for fault in (
        Fault("redis-freeze", "redis", (5, 10), "Redis is stopped in its tracks, and goes on"),
        Fault("redis-kill", "redis", (1, 4), "Redis is killed, and starts again"),
        Fault("redis-flush", "redis", (1, 1), "Redis loses every key, pointers among them"),
        Fault("zombie", "work", (0, 0), "a worker at work sleeps past its lease, and wakes"),
        Fault("worker-kill", "work", (2, 4), "a worker is killed with all its children"),
        Fault("child-kill", "work", (0, 0), "a child of a worker is killed at its job"),
        Fault("no-beat", "clock", (4, 8), "both beats are away: no slots, no sweep"),
        Fault("beat-kill", "clock", (1, 4), "one of two beats is killed, and starts again"),
        Fault("web-kill", "base", (0, 0), "a web process is killed with its requests", True),
        Fault("postgres-stop", "base", (1, 3), "PostgreSQL stops without a goodbye", True),
        Fault("postgres-kill", "base", (1, 3), "PostgreSQL is killed", True),
    )
}


@dataclass(frozen=True)
class Act:
    """One fault of a run: `at` seconds after its start, for so many `seconds`."""

    at: float
    fault: Fault
    seconds: float

    @property
    def until(self) -> float:
        return self.at + self.seconds


def draw(names: Collection[str], *, seconds: float, seed: int, lease: float) -> list[Act]:
    """Return the acts of a run in their order; no act of a track begins while another lasts.

    Each named fault comes once before any comes twice; what does not fit into `seconds` is left out.
    """
    tracks: dict[str, list[Fault]] = {}
    for name in FAULTS:
        if name in names:
            tracks.setdefault(FAULTS[name].track, []).append(FAULTS[name])
    acts = [
        act
        for track, faults in tracks.items()
        for act in _track(faults, seconds, random.Random(f"{seed} {track}"), lease)
    ]
    return sorted(acts, key=lambda act: act.at)


def _track(faults: list[Fault], seconds: float, rng: random.Random, lease: float) -> Iterator[Act]:
    longest = sum(_bounds(fault, lease)[1] for fault in faults)
    gap = min(GAP_MOST, max(GAP_LEAST, (seconds - longest) / (len(faults) + 1)))
    at = rng.uniform(*FIRST)
    while True:
        for fault in rng.sample(faults, len(faults)):
            lasts = rng.uniform(*_bounds(fault, lease))
            if at + lasts > seconds:
                return
            yield Act(at, fault, lasts)
            at += lasts + gap * rng.uniform(*SPREAD)


def _bounds(fault: Fault, lease: float) -> tuple[float, float]:
    if fault.name == "zombie":
        return lease + AFTER_LEASE[0], lease + AFTER_LEASE[1]
    return fault.seconds
