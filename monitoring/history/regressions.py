"""Statements that became slower with a release, judged from the sums of their windows.

The bound is Welch's for two samples of unequal variances: B. L. Welch, "The generalization of 'Student's'
problem when several different population variances are involved", Biometrika 34 (1947), 28-35, with the
degrees of freedom of F. E. Satterthwaite, Biometrics Bulletin 2 (1946), 110-114. Student's quantile is
taken from the normal one by the expansion of Abramowitz and Stegun, Handbook (1964), 26.7.5, which is
within a thousandth from ten degrees on. Calls under one load resemble each other more than the formula
believes, so that the bound sorts out chance and proves nothing: a factor is asked for besides.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import sqrt
from statistics import NormalDist

from monitoring.history import sums
from monitoring.history.models import ReleaseMarker
from monitoring.history.reading import fetch

REACH = timedelta(days=7)  # before and after a release, so that each has the days of a week
LEAST_CALLS = 30  # on either side
FACTOR = 1.5
CONFIDENCE = 0.99
ADDED_SHARE = 0.001  # of the time after the release, below which no growth matters
LARGE_SHARE = 0.05  # of the time after the release, for a statement that was not there before

# The edges are samples, so that no span has both sides of the release in it. Another release ends what
# can be said of this one.
EDGES = """
WITH bounds AS (
    SELECT greatest(%(at)s::timestamptz - %(reach)s,
            (SELECT max(released_at) FROM release_markers WHERE released_at < %(at)s)) AS since,
        least(%(at)s::timestamptz + %(reach)s, %(until)s,
            (SELECT min(released_at) FROM release_markers WHERE released_at > %(at)s)) AS until
)
SELECT (SELECT min(sampled_at) FROM samples WHERE sampled_at >= since AND statements_read > 0),
    (SELECT max(sampled_at) FROM samples WHERE sampled_at <= %(at)s AND statements_read > 0),
    (SELECT min(sampled_at) FROM samples WHERE sampled_at >= %(at)s AND statements_read > 0),
    (SELECT max(sampled_at) FROM samples WHERE sampled_at <= until AND statements_read > 0)
FROM bounds
"""
SPENT = "SELECT queryid, sum(calls)::bigint AS calls, sum(exec_ms) AS ms, sum(exec_ms_squares) AS squares"
COMPARED = f"""
WITH {sums.edges("earlier", "since", "before")},
{sums.edges("recent", "after", "until")},
before AS ({SPENT} FROM ({sums.rows("earlier", "since", "before")}) parts GROUP BY queryid),
later AS ({SPENT} FROM ({sums.rows("recent", "after", "until")}) parts GROUP BY queryid)
SELECT l.queryid, coalesce(t.text, ''), l.calls, l.ms, l.squares,
    coalesce(b.calls, 0), coalesce(b.ms, 0), coalesce(b.squares, 0),
    b.queryid IS NULL AND coalesce(t.first_seen > %(before)s, true), sum(l.ms) OVER ()
FROM later l LEFT JOIN before b USING (queryid) LEFT JOIN statement_texts t USING (queryid)
"""


@dataclass(frozen=True)
class Calls:
    """The calls of a statement in one window, by their sums: ms and ms²."""

    count: int
    total_ms: float
    squares: float

    @property
    def mean_ms(self) -> float:
        return self.total_ms / self.count if self.count else 0.0

    @property
    def variance(self) -> float:
        """Of the population that the calls are drawn from, ms²."""
        if self.count < 2:
            return 0.0
        return max(0.0, self.squares - self.count * self.mean_ms**2) / (self.count - 1)

    @property
    def stddev_ms(self) -> float:
        return sqrt(self.variance)


@dataclass(frozen=True)
class Regression:
    """A statement that costs more since a release. A new one has no calls before.

    `least_ms` is by how much the mean has grown at least, at CONFIDENCE. `share` is its part of the time of
    all statements since the release, 0 to 1.
    """

    queryid: int
    text: str
    before: Calls
    after: Calls
    is_new: bool
    least_ms: float
    share: float

    @property
    def factor(self) -> float | None:
        return self.after.mean_ms / self.before.mean_ms if self.before.mean_ms else None

    @property
    def added_ms(self) -> float:
        """Time spent since the release that would not have been spent at the former mean, in ms."""
        return (self.after.mean_ms - self.before.mean_ms) * self.after.count

    @property
    def added_share(self) -> float:
        """What `added_ms` is of the time of all statements since the release, up to 1."""
        return self.share * self.added_ms / self.after.total_ms if self.after.total_ms else 0.0


@dataclass(frozen=True)
class Compared:
    """The two windows that a release lies between, as edges of samples; None where there is none."""

    since: datetime | None
    before: datetime | None
    after: datetime | None
    until: datetime | None

    @property
    def is_possible(self) -> bool:
        """Whether there is a span on either side."""
        return bool(
            self.since
            and self.before
            and self.after
            and self.until
            and self.since < self.before
            and self.after < self.until
        )


def compared(marker: ReleaseMarker, *, until: datetime | None = None) -> Compared:
    """Say which windows are compared: a week on either side, up to the neighbouring releases. One statement."""
    [row] = fetch(EDGES, at=marker.released_at, reach=REACH, until=until)
    return Compared(*row)


def regressions(
    marker: ReleaseMarker,
    *,
    until: datetime | None = None,
    factor: float = FACTOR,
    least_calls: int = LEAST_CALLS,
    edges: Compared | None = None,
) -> list[Regression]:
    """Return what costs more since a release, by added time. Two statements, one when its edges are known.

    Slower: at least `least_calls` before and after, a mean `factor` times what it was, surely grown, and
    ADDED_SHARE of the time since added: a busy hour makes every small statement slower.
    New: never seen before, and LARGE_SHARE of the time since. Empty while a side has no samples.
    """
    edges = edges or compared(marker, until=until)
    if not edges.is_possible:
        return []
    rows = fetch(
        COMPARED, since=edges.since, before=edges.before, after=edges.after, until=edges.until
    )
    found = [_regression(row) for row in rows]
    kept = [each for each in found if _counts(each, factor, least_calls)]
    return sorted(kept, key=lambda each: -each.added_ms)


def _regression(
    row: tuple[int, str, int, float, float, int, float, float, bool, float],
) -> Regression:
    queryid, text, calls, ms, squares, old_calls, old_ms, old_squares, is_new, all_ms = row
    before, after = Calls(old_calls, old_ms, old_squares), Calls(calls, ms, squares)
    return Regression(
        queryid=queryid,
        text=text,
        before=before,
        after=after,
        is_new=is_new,
        least_ms=least_growth(before, after),
        share=ms / all_ms if all_ms else 0.0,
    )


def _counts(each: Regression, factor: float, least_calls: int) -> bool:
    if each.is_new:
        return each.share >= LARGE_SHARE
    return (
        min(each.before.count, each.after.count) >= least_calls
        and each.after.mean_ms >= factor * each.before.mean_ms
        and each.least_ms > 0
        and each.added_share >= ADDED_SHARE
    )


def least_growth(before: Calls, after: Calls, confidence: float = CONFIDENCE) -> float:
    """Return Welch's lower bound for the growth of the mean, in ms; 0 when a side has fewer than two calls."""
    if min(before.count, after.count) < 2:
        return 0.0
    parts = (before.variance / before.count, after.variance / after.count)
    difference = after.mean_ms - before.mean_ms
    if not sum(parts):
        return difference
    freedom = sum(parts) ** 2 / (
        parts[0] ** 2 / (before.count - 1) + parts[1] ** 2 / (after.count - 1)
    )
    return difference - student(confidence, freedom) * sqrt(sum(parts))


def student(confidence: float, freedom: float) -> float:
    """Return the quantile of Student's distribution for ten degrees of freedom or more."""
    z = NormalDist().inv_cdf(confidence)
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
    )
    return sum(term / freedom**power for power, term in enumerate(terms))
