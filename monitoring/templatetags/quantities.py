"""Numbers and moments for people: sizes, durations, counts and shares; `–` for what is not known."""

import math
import re
from datetime import datetime
from decimal import Decimal

from django import template
from django.utils import timezone
from django.utils.html import format_html

from khaacho.money import lakh
from monitoring.board import duration

register = template.Library()

Number = int | float | Decimal
UNKNOWN = "–"
UNITS = ("B", "kB", "MB", "GB", "TB", "PB")  # of 1024, as PostgreSQL counts and names them
SHORT = 160  # characters of a statement in a list


@register.filter
def size(value: Number | None) -> str:
    """Return bytes as `820 B`, `1.4 MB`, `36 GB`."""
    if value is None:
        return UNKNOWN
    amount, unit = abs(float(value)), 0
    while amount >= 1024 and unit < len(UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    said = f"{amount:.1f}" if unit and amount < 10 else f"{amount:.0f}"
    return f"{'-' if value < 0 else ''}{said} {UNITS[unit]}"


@register.filter
def milliseconds(value: Number | None) -> str:
    """Return milliseconds as `0.04 ms`, `12 ms`, `1.3 s`, `6 min 9 s`."""
    if value is None:
        return UNKNOWN
    if value >= 60_000:
        return duration(float(value) / 1000)
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2f} ms"


@register.filter
def seconds(value: Number | None) -> str:
    """Return seconds as `0.4 s`, `12 s`, `6 min 9 s`, `3 d 4 h`."""
    if value is None:
        return UNKNOWN
    return duration(float(value)) if value >= 10 else f"{value:.1f} s"


@register.filter
def count(value: Number | None) -> str:
    """Return a number grouped as in Nepal: `12,34,567`; a small one with two digits behind the point."""
    if value is None:
        return UNKNOWN
    if value >= 100 or value == int(value):
        return lakh(math.floor(float(value) + 0.5))
    return f"{value:.2f}"


@register.filter
def percent(value: Number | None) -> str:
    """Return per cent as `99.8 %`."""
    return UNKNOWN if value is None else f"{value:.1f} %"


@register.filter
def share(value: Number | None) -> str:
    """Return a part of 1 as per cent."""
    return UNKNOWN if value is None else percent(100 * value)


@register.filter
def moment(value: datetime | None) -> str:
    """Return a moment to the minute, as an element that says it whole."""
    if value is None:
        return UNKNOWN
    local = timezone.localtime(value)
    return format_html(
        '<time datetime="{}">{}</time>', local.isoformat(), local.strftime("%Y-%m-%d %H:%M")
    )


@register.filter
def shortened(statement: str) -> str:
    """Return a statement in one line, for a list; comments that name its origin are left out."""
    line = " ".join(re.sub(r"/\*.*?\*/", " ", statement, flags=re.DOTALL).split())
    return line if len(line) <= SHORT else f"{line[: SHORT - 1]}…"
