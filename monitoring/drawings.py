"""Small pictures as SVG, drawn by the server: no script, no style, and words for who cannot see them."""

from collections.abc import Sequence

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from khaacho.money import lakh

WIDTH, HEIGHT = 240, 36
BAR = 1000  # units of a bar's width
LEAST = 12  # units that anything but nothing takes


def curve(values: Sequence[int], unit: str) -> SafeString:
    """Return a line over the values, oldest first; `unit` says what each counts."""
    top = max(values, default=0)
    step = WIDTH / max(1, len(values) - 1)
    points = [
        (
            round(place * step, 1),
            round(HEIGHT - 1 - (HEIGHT - 3) * value / top, 1) if top else HEIGHT - 1,
        )
        for place, value in enumerate(values)
    ]
    line = " ".join(f"{x},{y}" for x, y in points)
    return format_html(
        '<svg class="curve" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<polygon points="0,{} {} {},{}"/><polyline points="{}"/></svg>',
        *(WIDTH, HEIGHT, in_words(values, unit), HEIGHT, line, WIDTH, HEIGHT, line),
    )


def in_words(values: Sequence[int], unit: str) -> str:
    """Say what a curve shows."""
    if not any(values):
        return f"{unit}: none"
    return f"{unit}: {lakh(values[-1])} lately, {lakh(max(values))} at most, {lakh(sum(values))} in all"


def bar(parts: Sequence[tuple[str, int]]) -> SafeString:
    """Return a bar of parts (name, count), each as wide as its share; what is there can be seen."""
    total = sum(count for _, count in parts)
    widths = [max(LEAST, round(BAR * count / total)) if count else 0 for _, count in parts]
    excess = sum(widths) - BAR
    if total:
        widths[widths.index(max(widths))] -= excess
    pieces, left = [], 0
    for (name, _), width in zip(parts, widths, strict=True):
        if width:
            pieces.append((name, left, width))
        left += width
    return format_html(
        '<svg class="bar" viewBox="0 0 {} 10" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<rect class="none" width="{}" height="10"/>{}</svg>',
        *(BAR, ", ".join(f"{lakh(count)} {name}" for name, count in parts), BAR),
        format_html_join("", '<rect class="{}" x="{}" width="{}" height="10"/>', pieces),
    )
