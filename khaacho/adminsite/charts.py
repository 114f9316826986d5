"""Charts as SVG, drawn by the server: no script, no style attribute, and words for who cannot see them.

A chart is as wide as its place and as high as it is: positions across are per cent, so that its text keeps its
size on a phone. Lines lie in an inner `svg` of its own units, which is stretched; their strokes are not.
Colours are of khaacho/admin.css, by class: series are `s1` to `s5`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from khaacho.money import lakh

WIDTH, HEIGHT = 1000, 160  # units of a line chart's inside; the height is in pixels too
FOOT = 22  # pixels below the lines, for the times
ROW, BAR = 38, 8  # pixels of a bar chart's row, and of its bar
SPARK_WIDTH, SPARK_HEIGHT = 120, 28
TICKS_DOWN, TICKS_ACROSS = 4, 8  # at most
NAME_LENGTH = 48  # characters of a bar's name
MINUTE, HOUR, DAY = 60, 3600, 86_400
STEPS = (  # seconds between two ticks of time
    *(n * MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 6, 12)),
    *(n * DAY for n in (1, 2, 7, 14, 30, 90, 365)),
)


@dataclass(frozen=True)
class Series:
    """One line: moments, oldest first, each with its value or None where nothing is known."""

    name: str
    points: Sequence[tuple[datetime, float | None]]
    style: str = "s1"


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    unit: str,
    since: datetime,
    until: datetime,
    marks: Sequence[tuple[datetime, str]] = (),
) -> SafeString:
    """Return lines over time from `since` to `until`, which is shown in Kathmandu; a gap where a value is None.

    `marks` are moments with their names, such as releases. What lies outside the time is left out.
    """
    shown = [_within(each, since, until) for each in series]
    values = [value for each in shown for _at, value in each.points if value is not None]
    scale = _Scale.over(values, since, until)
    return format_html(
        '<svg class="lines" width="100%" height="{}" role="img" aria-label="{}">{}{}{}{}</svg>{}',
        HEIGHT + FOOT,
        f"{title}. " + "; ".join(_in_words(each.name, each.points, unit) for each in shown),
        _grid(scale, unit),
        format_html(
            '<svg width="100%" height="{}" viewBox="0 0 {} {}" preserveAspectRatio="none">{}</svg>',
            *(HEIGHT, WIDTH, HEIGHT),
            format_html_join(
                "", "{}", ((_curves(each, scale, len(shown) == 1),) for each in shown)
            ),
        ),
        _marks(scale, marks),
        format_html_join("", "{}", ((_points(each, scale, unit),) for each in shown)),
        _legend(shown) if len(shown) > 1 else "",
    )


def bar_chart(rows: Sequence[tuple[str, float]], *, title: str, unit: str) -> SafeString:
    """Return a bar for each row (name, value), values not negative; names and values stand above the bars."""
    top = max((value for _name, value in rows), default=0)
    said = ", ".join(f"{name} {with_unit(value, unit)}" for name, value in rows)
    return format_html(
        '<svg class="bars" width="100%" height="{}" role="img" aria-label="{}">{}</svg>',
        max(1, len(rows)) * ROW,
        f"{title}. {said or nothing()}",
        format_html_join(
            "",
            '<text x="0" y="{}">{}</text><text class="value" x="100%" y="{}">{}</text>'
            '<rect class="bar s1" y="{}" width="{}%" height="{}"><title>{}</title></rect>',
            (
                (
                    *(place * ROW + 16, _cut(name), place * ROW + 16, with_unit(value, unit)),
                    *(place * ROW + 22, round(100 * value / top, 1) if top else 0, BAR),
                    f"{name}: {with_unit(value, unit)}",
                )
                for place, (name, value) in enumerate(rows)
            ),
        ),
    )


def sparkline(values: Sequence[float | None], *, title: str) -> SafeString:
    """Return a small line without a scale, oldest first; a gap where a value is None."""
    known = [value for value in values if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    span, step = (high - low) or 1, SPARK_WIDTH / max(1, len(values) - 1)
    places = [
        None
        if value is None
        else (
            round(n * step, 1),
            round(SPARK_HEIGHT - 2 - (SPARK_HEIGHT - 4) * (value - low) / span, 1),
        )
        for n, value in enumerate(values)
    ]
    return format_html(
        '<svg class="spark" width="{}" height="{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>',
        *(SPARK_WIDTH, SPARK_HEIGHT, SPARK_WIDTH, SPARK_HEIGHT),
        f"{title}: {number(known[-1])}" if known else f"{title}: {nothing()}",
        format_html_join(
            "", '<polyline class="line s1" points="{}"/>', ((_path(run),) for run in _runs(places))
        ),
    )


def nothing() -> str:
    return _("nothing")


def number(value: float) -> str:
    """Return a number for people: grouped as in Nepal, three digits that count when it is small."""
    if value < 0:
        return f"-{number(-value)}"
    if value >= 100 or value == int(value):
        return lakh(math.floor(value + 0.5))
    return f"{value:.3g}"


def with_unit(value: float, unit: str) -> str:
    """Return a number with its unit; NPR stands before it."""
    if unit == "NPR":
        return f"NPR {number(value)}"
    return f"{number(value)} {unit}".rstrip()


@dataclass(frozen=True)
class _Scale:
    """Where a moment and a value lie: across in per cent, down in pixels."""

    since: datetime
    until: datetime
    low: float
    high: float
    step: float

    @classmethod
    def over(cls, values: Sequence[float], since: datetime, until: datetime) -> "_Scale":
        low, high = min([0.0, *values]), max([0.0, *values])
        step = _round_step((high - low) / TICKS_DOWN)
        return cls(
            since, until, math.floor(low / step) * step, (math.ceil(high / step) or 1) * step, step
        )

    def across(self, moment: datetime) -> float:
        span = (self.until - self.since).total_seconds() or 1
        return round(100 * (moment - self.since).total_seconds() / span, 2)

    def down(self, value: float) -> float:
        return round(HEIGHT * (1 - (value - self.low) / (self.high - self.low)), 1)

    def values(self) -> Iterator[float]:
        """Yield the values with a line of the grid."""
        for n in range(round((self.high - self.low) / self.step) + 1):
            yield self.low + n * self.step

    def moments(self) -> Iterator[tuple[datetime, str]]:
        """Yield round moments of Kathmandu's clock, with how they are said."""
        span = (self.until - self.since).total_seconds()
        step = next((each for each in STEPS if span / each <= TICKS_ACROSS), STEPS[-1])
        local = timezone.localtime(self.since)
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
        moment = midnight + timedelta(
            seconds=math.ceil((local - midnight).total_seconds() / step) * step
        )
        while moment <= self.until:
            is_midnight = (moment.hour, moment.minute) == (0, 0)
            yield moment, f"{moment:%m-%d}" if is_midnight else f"{moment:%H:%M}"
            moment += timedelta(seconds=step)


def _round_step(rough: float) -> float:
    """Return 1, 2 or 5 times a power of ten, not below `rough`."""
    if rough <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(rough))
    return next(n * power for n in (1, 2, 5, 10) if n * power >= rough * 0.999999)


def _within(series: Series, since: datetime, until: datetime) -> Series:
    points = [(moment, value) for moment, value in series.points if since <= moment <= until]
    return Series(series.name, points, series.style)


def _grid(scale: _Scale, unit: str) -> SafeString:
    values = [(scale.down(value), value) for value in scale.values()]
    return format_html(
        '{}<g class="axis">{}{}</g>',
        format_html_join(
            "",
            '<line class="grid" x1="0" x2="100%" y1="{}" y2="{}"/>',
            ((y, y) for y, _value in values),
        ),
        format_html_join(
            "",
            '<text x="0" y="{}">{}</text>',
            (
                (
                    round(y + 12 if y < 12 else y - 3, 1),
                    with_unit(value, unit) if y == 0 else number(value),
                )
                for y, value in values
            ),
        ),
        format_html_join(
            "",
            '<text class="{}" x="{}%" y="{}">{}</text>',
            (
                (_time_class(scale.across(moment), place), scale.across(moment), HEIGHT + 16, said)
                for place, (moment, said) in enumerate(scale.moments())
            ),
        ),
    )


def _time_class(across: float, place: int) -> str:
    side = "start" if across < 4 else "end" if across > 96 else "middle"
    return f"{side} odd" if place % 2 else side


def _curves(series: Series, scale: _Scale, has_area: bool) -> SafeString:
    places = [
        None if value is None else (scale.across(moment) * WIDTH / 100, scale.down(value))
        for moment, value in series.points
    ]
    floor = scale.down(max(0, scale.low))
    made = []
    for run in _runs(places):
        if has_area:
            ends = [(run[-1][0], floor), (run[0][0], floor)]
            made.append(
                format_html(
                    '<polygon class="area {}" points="{}"/>', series.style, _path([*run, *ends])
                )
            )
        made.append(
            format_html('<polyline class="line {}" points="{}"/>', series.style, _path(run))
        )
    return mark_safe("".join(made))  # noqa: S308 - of format_html alone


def _runs(places: Sequence[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    """Yield what lies between gaps."""
    run: list[tuple[float, float]] = []
    for place in [*places, None]:
        if place is not None:
            run.append(place)
        elif run:
            yield run
            run = []


def _path(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:g},{y:g}" for x, y in places)


def _points(series: Series, scale: _Scale, unit: str) -> SafeString:
    """Return a dot for each value: what the pointer finds says moment and value."""
    zone = timezone.get_current_timezone()
    style, name = escape(series.style), escape(series.name)
    made = [
        f'<circle class="point {style}" cx="{scale.across(at)}%" cy="{scale.down(value)}" r="3"><title>'
        f"{name}: {escape(with_unit(value, unit))}, {at.astimezone(zone):%Y-%m-%d %H:%M}</title></circle>"
        for at, value in series.points
        if value is not None
    ]
    return mark_safe("".join(made))  # noqa: S308 - names and units are escaped, the rest are numbers


def _marks(scale: _Scale, marks: Sequence[tuple[datetime, str]]) -> SafeString:
    return format_html_join(
        "",
        '<g class="mark"><line x1="{0}%" x2="{0}%" y1="0" y2="{1}"/>'
        '<rect x="{0}%" y="0" width="6" height="6"/><title>{2}, {3}</title></g>',
        (
            (scale.across(moment), HEIGHT, name, f"{timezone.localtime(moment):%Y-%m-%d %H:%M}")
            for moment, name in marks
            if scale.since <= moment <= scale.until
        ),
    )


def _legend(series: Sequence[Series]) -> SafeString:
    return format_html(
        '<ul class="legend">{}</ul>',
        format_html_join(
            "", '<li class="{}">{}</li>', ((each.style, each.name) for each in series)
        ),
    )


def _in_words(name: str, points: Sequence[tuple[datetime, float | None]], unit: str) -> str:
    known = [value for _at, value in points if value is not None]
    if not known:
        return f"{name}: {nothing()}"
    return _("%(name)s: %(last)s at the end, %(most)s at most, %(least)s at least") % {
        "name": name,
        "last": with_unit(known[-1], unit),
        "most": with_unit(max(known), unit),
        "least": with_unit(min(known), unit),
    }


def _cut(name: str) -> str:
    return name if len(name) <= NAME_LENGTH else f"{name[: NAME_LENGTH - 1]}…"
