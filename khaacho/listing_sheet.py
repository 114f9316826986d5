"""A listing on paper: title in both languages, what it is about, a table over any number of pages, sums."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import datetime

from khaacho.sheet import MARGIN, SMALL, Sheet
from khaacho.sheet_table import Column, Table

LARGE, BODY = 15.0, 9.0  # points
FACTS_ABREAST = 4
GAP = 4.0  # millimetres


@dataclass(frozen=True)
class Line:
    """A row of a listing; `beneath` adds text to columns by number, on lines of its own."""

    texts: Sequence[str]
    beneath: Mapping[int, str] = field(default_factory=dict)
    is_bold: bool = False


@dataclass(frozen=True, kw_only=True)
class Listing:
    """What a listing says before its rows. Columns' widths are relative; `size` is the rows', in points."""

    title: str
    title_ne: str
    foot: str
    facts: Sequence[tuple[str, str]]
    columns: Sequence[Column]
    created_at: datetime
    author: str = "Khaacho"
    subject: str = ""
    size: float = 8.0
    is_wide: bool = False


def draw(listing: Listing, lines: Iterable[Line]) -> bytes:
    """Return the PDF of a listing; the same listing and lines give the same bytes."""
    sheet = Sheet(
        title=listing.title,
        author=listing.author,
        subject=listing.subject,
        created_at=listing.created_at,
        foot=listing.foot,
        is_wide=listing.is_wide,
    )
    with closing(sheet):
        sheet.add_page()
        sheet.use(LARGE, bold=True)
        title = " / ".join(text for text in (listing.title, listing.title_ne) if text)
        y = sheet.stack(MARGIN, MARGIN, sheet.epw, sheet.wrap(title, sheet.epw)) + GAP
        sheet.set_y(_draw_facts(sheet, y, listing.facts))
        table = Table(sheet, _fitted(listing.columns, sheet.epw), size=listing.size)
        table.draw_headings()
        for line in lines:
            table.draw_row(line.texts, beneath=line.beneath, bold=line.is_bold)
        return bytes(sheet.output())


def _draw_facts(sheet: Sheet, y: float, facts: Sequence[tuple[str, str]]) -> float:
    """Draw label over value, some abreast; return where they end."""
    width = sheet.epw / FACTS_ABREAST
    for first in range(0, len(facts), FACTS_ABREAST):
        ends = []
        for number, (label, value) in enumerate(facts[first : first + FACTS_ABREAST]):
            x = MARGIN + number * width
            sheet.use(SMALL, quiet=True)
            below = sheet.stack(x, y, width, sheet.wrap(label, width - 2))
            sheet.use(BODY)
            ends.append(sheet.stack(x, below, width, sheet.wrap(value, width - 2)))
        y = max(ends) + GAP / 2
    return y + GAP / 2


def _fitted(columns: Sequence[Column], width: float) -> list[Column]:
    whole = sum(column.width for column in columns)
    return [replace(column, width=column.width * width / whole) for column in columns]
