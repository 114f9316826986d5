"""Charts over the page's stretch of time, of the samples that are taken every five minutes."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khaacho.adminsite.charts import Series, line_chart
from monitoring.database import access
from monitoring.history import windows, work
from monitoring.history.reading import step
from monitoring.pages.framework import Window

P = TypeVar("P", windows.TotalsPoint, windows.StatementPoint)
Value = Callable[[P], float | None]

POINTS = 96  # of a line: a quarter of an hour of a day
MB = 1024 * 1024
_SIZES = """
SELECT date_bin(%(step)s, sampled_at - interval '1 microsecond', %(since)s) + %(step)s AS at, max(bytes)
FROM database_samples WHERE sampled_at > %(since)s AND sampled_at <= %(until)s
GROUP BY at ORDER BY at
"""


def of_database(window: Window) -> Mapping[str, Any]:
    """Draw what was asked for and what the whole database did about it, on one axis. Five statements."""
    points = windows.totals(window.since, window.until, POINTS)
    requests = work.requests(window.since, window.until, POINTS)
    jobs = work.jobs(window.since, window.until, POINTS)
    draw = _Drawing(window, windows.marks(window.since, window.until))
    return {
        "is_empty": all(point.seconds is None for point in points) and not (requests or jobs),
        "charts": [
            draw.lines(
                _("Requests"),
                _("per s"),
                {
                    _("ended"): [(point.at, point.per_second) for point in requests],
                    _("failed"): [(point.at, point.failed_per_second) for point in requests],
                },
            ),
            draw.lines(
                _("Database time"),
                _("s/s"),
                {"": _values(points, lambda p: p.database_time)},
                _("Seconds of statements in each second: how many work at once, on average."),
            ),
            draw.lines(
                _("Connections"),
                "",
                {
                    _("open"): _values(points, lambda p: p.connections),
                    _("at work"): _values(points, lambda p: p.active),
                },
                _("The most of a sample."),
            ),
            draw.lines(
                _("Queues"),
                _("per min"),
                {"": [(point.at, point.per_minute) for point in jobs]},
                _("Jobs done, of all queues."),
            ),
            draw.lines(
                _("Found in memory"),
                "%",
                {"": _values(points, lambda p: None if p.hit_ratio is None else 100 * p.hit_ratio)},
            ),
            draw.lines(_("Size"), "MB", {"": _sizes(window)}),
        ],
    }


def of_statement(queryid: int, window: Window) -> Mapping[str, Any]:
    """Draw what one statement did, with its figures of the window. Three statements."""
    points = windows.statement_series(queryid, window.since, window.until, POINTS)
    draw = _Drawing(window, windows.marks(window.since, window.until))
    return {
        "is_empty": all(point.seconds is None for point in points),
        "figures": windows.statement(queryid, window.since, window.until),
        "charts": [
            draw.lines(
                _("Time of a call"),
                "ms",
                {
                    _("mean"): _values(points, lambda p: p.mean_ms),
                    _("standard deviation"): _values(points, lambda p: p.stddev_ms),
                },
            ),
            draw.lines(_("Calls"), _("per s"), {"": _values(points, lambda p: p.calls_per_second)}),
            draw.lines(_("Its time"), _("ms/s"), {"": _values(points, lambda p: p.ms_per_second)}),
        ],
    }


class _Drawing:
    """Charts over one window, with its releases."""

    def __init__(self, window: Window, marks: Sequence[tuple[datetime, str]]) -> None:
        self.window = window
        self.marks = marks

    def lines(
        self,
        title: str,
        unit: str,
        lines: Mapping[str, Sequence[tuple[datetime, float | None]]],
        caption: str = "",
    ) -> tuple[str, str, SafeString]:
        """Return the title, what explains it, and the chart; a line without a name has the chart's."""
        series = [
            Series(name or title, points, f"s{place}")
            for place, (name, points) in enumerate(lines.items(), start=1)
        ]
        chart = line_chart(
            series,
            title=title,
            unit=unit,
            since=self.window.since,
            until=self.window.until,
            marks=self.marks,
        )
        return title, caption, chart


def _values(points: Sequence[P], value: Value[P]) -> list[tuple[datetime, float | None]]:
    return [(point.at, value(point)) for point in points]


def _sizes(window: Window) -> list[tuple[datetime, float | None]]:
    width = step(window.since, window.until, POINTS)
    rows = access.fetch(_SIZES, {"since": window.since, "until": window.until, "step": width})
    return [(at, size / MB) for at, size in rows]
