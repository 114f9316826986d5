"""Small SVG plots without a library: lines over sizes, bars of pairs; legible on light and dark."""

import math
from collections.abc import Callable, Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 600, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 64, 46
INK = "#7a828e"  # readable on white and on near black
COLOURS = ("#2f81f7", "#d9822b", "#3fa66b", "#b458c9")
BARS_MOST = 8  # groups
TICKS_MOST = 8


def lines(
    title: str,
    x_label: str,
    y_label: str,
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    logarithmic: bool = True,
) -> str:
    """Return a line chart, y from zero. Points are (x, y ≥ 0), on a logarithmic scale x > 0."""
    points = [point for line in series.values() for point in line]
    if not points:
        raise ValueError("a plot needs a point")
    scale = math.log10 if logarithmic else float
    low, high = (scale(end([x for x, _ in points])) for end in (min, max))
    most = ceiling(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[float, float]:
        across = (scale(x) - low) / ((high - low) or 1.0)
        return LEFT + across * (WIDTH - LEFT - RIGHT), _down(y, most)

    parts = [*_frame(title, y_label, most), *_legend(list(series))]
    parts += [
        _text(place(x, 0)[0], HEIGHT - BOTTOM + 18, amount(x), anchor="middle")
        for x in _ticks([x for x, _ in points], scale)
    ]
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, x_label, anchor="middle"))
    for colour, line in zip(COLOURS, series.values(), strict=False):
        placed = [place(x, y) for x, y in line]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in placed]
    return _document(title, parts)


def bars(title: str, y_label: str, groups: Mapping[str, Mapping[str, float]]) -> str:
    """Return a bar chart: a group of bars for each name, one bar per competitor. At most 8 groups."""
    if not 0 < len(groups) <= BARS_MOST:
        raise ValueError(f"1 to {BARS_MOST} groups fit")
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    most = ceiling(max(value for group in groups.values() for value in group.values()))
    room = (WIDTH - LEFT - RIGHT) / len(groups)
    bar = min(54.0, room * 0.8 / len(names))
    parts = [*_frame(title, y_label, most), *_legend(names)]
    for number, (label, group) in enumerate(groups.items()):
        middle = LEFT + room * (number + 0.5)
        parts.append(_text(middle, HEIGHT - BOTTOM + 18, label, anchor="middle"))
        for colour, name in zip(COLOURS, names, strict=False):
            if name in group:
                x = middle + bar * (names.index(name) - len(names) / 2)
                y = _down(group[name], most)
                parts.append(
                    f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{bar - 2:.1f}"'
                    f' height="{HEIGHT - BOTTOM - y:.1f}" fill="{colour}"/>'
                )
                parts.append(_text(x + bar / 2, y - 5, amount(group[name]), anchor="middle"))
    return _document(title, parts)


def _ticks(values: Sequence[float], scale: Callable[[float], float]) -> list[float]:
    """Return the values to name below an axis: those that are not too near another."""
    wanted = sorted(set(values), reverse=True)
    apart = (scale(wanted[0]) - scale(wanted[-1])) / TICKS_MOST
    chosen = wanted[:1]
    for value in wanted[1:]:
        if scale(chosen[-1]) - scale(value) >= apart:
            chosen.append(value)
    return chosen


def ceiling(value: float) -> float:
    """Return the next of 1, 2, 2.5, 5, 10 times a power of ten that is not below the value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 2.5, 5, 10) if power * step >= value)


def amount(value: float) -> str:
    """Return a number short enough for an axis: 1.5k, 2M, 0.25."""
    for bound, letter in ((1e6, "M"), (1e3, "k")):
        if value >= bound:
            return f"{value / bound:.3g}{letter}"
    return f"{value:.3g}"


def _down(y: float, most: float) -> float:
    return HEIGHT - BOTTOM - y / most * (HEIGHT - TOP - BOTTOM)


def _frame(title: str, y_label: str, most: float) -> list[str]:
    parts = [_text(LEFT, 20, title, size=15, weight="bold"), _text(8, TOP - 10, y_label)]
    for step in range(5):
        value = most * step / 4
        y = _down(value, most)
        parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="{INK}"'
            f' stroke-opacity="{1 if step == 0 else 0.25}"/>'
        )
        parts.append(_text(LEFT - 8, y + 4, amount(value), anchor="end"))
    return parts


def _legend(names: Sequence[str]) -> list[str]:
    parts, x = [], float(WIDTH - RIGHT)
    for colour, name in reversed(list(zip(COLOURS, names, strict=False))):
        x -= 8.0 * len(name) + 26
        parts.append(f'<rect x="{x:.1f}" y="33" width="12" height="12" fill="{colour}"/>')
        parts.append(_text(x + 17, 43.5, name))
    return parts


def _text(
    x: float, y: float, text: str, *, size: int = 13, anchor: str = "start", weight: str = "normal"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" font-weight="{weight}"'
        f' text-anchor="{anchor}" fill="{INK}">{escape(text)}</text>'
    )


def _document(title: str, parts: Sequence[str]) -> str:
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}"'
        f' height="{HEIGHT}" role="img" font-family="system-ui, sans-serif">\n'
        f"<title>{escape(title)}</title>\n{body}\n</svg>\n"
    )
