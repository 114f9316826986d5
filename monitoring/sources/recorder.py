"""What this process has seen since it last said so: durations by statement and origin, and by request or job.

Everything is kept under one lock, in memory that is bounded: at most MOST statements by origin, what is
more counts as "other". A process that forks begins anew in the child, so that nothing is said twice.
"""

import math
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import monotonic

from khaacho.origins import Key
from monitoring import durations
from monitoring.sources import shapes
from monitoring.sources.places import Place

MOST = 2_000  # statements by origin between two publications; as many origins by outcome
TEXTS = 4_000  # whose fingerprint is remembered
LONG = 4_096  # characters; of longer texts only the hash is kept
MOST_PLACES = 4  # of one statement by origin
SAMPLED = 256  # one of so many calls is asked again where it comes from

PER_LOG = 1 / math.log(durations.GROWTH)
Text = str | int


def bucket(seconds: float) -> int:
    """Return the bucket of monitoring/durations.py, whose unit is here the microsecond."""
    return math.ceil(math.log(seconds * 1e6) * PER_LOG) if seconds > 1e-6 else 0


class Counts:
    """How many, how many failed, how long they took together, and how long how many."""

    __slots__ = ("buckets", "calls", "errors", "places", "seconds")

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self.seconds = 0.0
        self.buckets: dict[int, int] = {}
        self.places: dict[Place, int] = {}

    def add(self, other: "Counts") -> None:
        """Take in what another counted."""
        self.calls += other.calls
        self.errors += other.errors
        self.seconds += other.seconds
        for number, count in other.buckets.items():
            self.buckets[number] = self.buckets.get(number, 0) + count
        for place, count in other.places.items():
            self.see(place, count)

    def see(self, place: Place, count: int = 1) -> None:
        if place in self.places or len(self.places) < MOST_PLACES:
            self.places[place] = self.places.get(place, 0) + count


class Ended:
    """Requests or jobs of one origin that ended alike, and what they asked of the database."""

    __slots__ = ("counts", "database_seconds", "statements")

    def __init__(self) -> None:
        self.counts = Counts()
        self.statements = 0
        self.database_seconds = 0.0

    def add(self, other: "Ended") -> None:
        self.counts.add(other.counts)
        self.statements += other.statements
        self.database_seconds += other.database_seconds


@dataclass
class Seen:
    """All that was counted in one stretch, and the forms of the statements in it."""

    statements: dict[tuple[int, Key], Counts] = field(default_factory=dict)
    ended: dict[tuple[Key, str], Ended] = field(default_factory=dict)
    forms: dict[int, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        return not self.statements and not self.ended


NOWHERE: Key = ("other", "", "")


class Recorder:
    """Counts in one process. All methods may be called from any thread."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew; a child does it after a fork, when another thread may have held the lock."""
        self.lock = threading.RLock()
        self.seen = Seen()
        self.known: dict[tuple[Text, Key], Counts] = {}
        self.fingerprints: dict[Text, tuple[int, str]] = {}
        self.first_at = 0.0  # time.monotonic() of the oldest that is not published

    def note(self, text: str, key: Key, seconds: float, failed: bool) -> Counts | None:
        """Count a statement; return its counts when it is to be asked where it came from."""
        known: Text = text if len(text) <= LONG else hash(text)
        with self.lock:
            counts = self.known.get((known, key))
            if counts is None:
                counts = self._learn(known, text, key)
            counts.calls += 1
            counts.errors += failed
            counts.seconds += seconds
            # bucket(seconds) without the call: this is run for every query
            number = math.ceil(math.log(seconds * 1e6) * PER_LOG) if seconds > 1e-6 else 0
            buckets = counts.buckets
            buckets[number] = buckets.get(number, 0) + 1
            return counts if counts.calls % SAMPLED == 1 else None

    def place(self, counts: Counts, place: Place) -> None:
        """Remember a place from which a statement came."""
        with self.lock:
            counts.see(place)

    def _learn(self, known: Text, text: str, key: Key) -> Counts:
        """Find the counts of a text that is new in this stretch."""
        self._begin()
        short = shapes.shortened(text)
        kept: Text = short if len(short) <= LONG else hash(short)
        found = self.fingerprints.get(kept)
        if found is None:
            if len(self.fingerprints) >= TEXTS:
                self.fingerprints.clear()
            form = shapes.normalised(short)
            found = self.fingerprints[kept] = shapes.of_normalised(form), form[:LONG]
        number, form = found
        cell = number, key
        if cell not in self.seen.statements and len(self.seen.statements) >= MOST:
            return self.seen.statements.setdefault((shapes.OTHER, NOWHERE), Counts())
        self.seen.forms[number] = form
        counts = self.seen.statements.setdefault(cell, Counts())
        if len(self.known) >= 2 * MOST:  # texts of one form, such as lists of any length
            self.known.clear()
        if not text.startswith(shapes.SAVEPOINTS):  # whose text is not sent twice
            self.known[known, key] = counts
        return counts

    def end(self, key: Key, outcome: str, seconds: float, statements: int, database: float) -> None:
        """Count a request or job that ended."""
        with self.lock:
            ended = self.seen.ended.get((key, outcome))
            if ended is None:
                ended = self._learn_ended(key, outcome)
            ended.statements += statements
            ended.database_seconds += database
            counts = ended.counts
            counts.calls += 1
            counts.seconds += seconds
            number = bucket(seconds)
            counts.buckets[number] = counts.buckets.get(number, 0) + 1

    def _learn_ended(self, key: Key, outcome: str) -> Ended:
        self._begin()
        if len(self.seen.ended) >= MOST:
            key = NOWHERE
        return self.seen.ended.setdefault((key, outcome), Ended())

    def _begin(self) -> None:
        if self.seen.is_empty:
            self.first_at = monotonic()

    def take(self) -> Seen:
        """Return what was counted, and begin a new stretch."""
        with self.lock:
            taken, self.seen, self.known = self.seen, Seen(), {}
            return taken

    def give_back(self, seen: Seen) -> None:
        """Take in again what could not be published; what is too much by now is dropped."""
        with self.lock:
            self._begin()
            _merge(self.seen.statements, seen.statements)
            _merge_ended(self.seen.ended, seen.ended)
            for number, form in seen.forms.items():
                self.seen.forms.setdefault(number, form)


def _merge(into: dict[tuple[int, Key], Counts], more: Mapping[tuple[int, Key], Counts]) -> None:
    for cell, counts in more.items():
        fits = cell in into or len(into) < MOST
        into.setdefault(cell if fits else (shapes.OTHER, NOWHERE), Counts()).add(counts)


def _merge_ended(into: dict[tuple[Key, str], Ended], more: Mapping[tuple[Key, str], Ended]) -> None:
    for cell, ended in more.items():
        fits = cell in into or len(into) < MOST
        into.setdefault(cell if fits else (NOWHERE, cell[1]), Ended()).add(ended)


recorder = Recorder()
os.register_at_fork(after_in_child=recorder.forget)
