"""A report on paper, A4 landscape."""

from collections.abc import Iterator, Sequence
from typing import IO, Any

from django.utils import timezone
from fpdf.enums import Align

from khaacho.lettering import one_line
from khaacho.listing_sheet import Line, Listing, draw
from khaacho.sheet_table import Column as PaperColumn
from monitoring.exceptions import ReportTooLong
from monitoring.reports.columns import NUMBERS, Column, Form, Sums, said
from monitoring.reports.content import Content, check_size
from monitoring.reports.reading import Reader

MOST_ROWS = 5000
SIZE = 6.5  # points: up to fourteen columns


class Paper:
    """Which columns have a place of their own on paper, and which stand beneath another."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._shown = [n for n, column in enumerate(columns) if not column.beneath]
        names = [columns[n].name for n in self._shown]
        self._beneath = {
            n: names.index(column.beneath) for n, column in enumerate(columns) if column.beneath
        }

    def columns(self) -> list[PaperColumn]:
        shown = [self._columns[n] for n in self._shown]
        return [PaperColumn(c.label, c.width, _align(c.form)) for c in shown]

    def line(self, row: Sequence[Any]) -> Line:
        texts = [one_line(said(row[n], self._columns[n].form)) for n in self._shown]
        beneath = {at: one_line(row[n]) for n, at in self._beneath.items() if row[n]}
        return Line(texts, beneath)

    def total(self, sums: Sums) -> Line:
        texts = [said(sums.get(n), self._columns[n].form) for n in self._shown]
        return Line(["Total", *texts[1:]], is_bold=True)


def write(content: Content, reader: Reader, file: IO[bytes]) -> int:
    """Write the report as PDF; return how many rows. Raises ReportTooLong over MOST_ROWS, none drawn."""
    try:
        rows = list(reader.rows(MOST_ROWS))
    except ReportTooLong as error:
        raise ReportTooLong(
            f"More than {MOST_ROWS} rows are too many for paper; ask for csv or xlsx.",
            **error.extra,
        ) from None
    read_at = timezone.localtime(reader.read_at)
    paper = Paper(content.columns)
    listing = Listing(
        title=content.title,
        title_ne=content.title_ne,
        foot=f"{content.title} · {read_at:%Y-%m-%d %H:%M} · amounts in NPR",
        facts=[*content.facts, ("As of", f"{read_at:%Y-%m-%d %H:%M}"), ("Rows", str(len(rows)))],
        columns=paper.columns(),
        created_at=reader.read_at,
        size=SIZE,
        is_wide=True,
    )
    file.write(draw(listing, _lines(paper, content, rows, reader)))
    check_size(file)
    return len(rows)


def _lines(
    paper: Paper, content: Content, rows: Sequence[Sequence[Any]], reader: Reader
) -> Iterator[Line]:
    sums = Sums(content.columns)
    for row in rows:
        reader.watch.check()
        sums.add(row)
        yield paper.line(row)
    if rows and any(column.is_added for column in content.columns):
        yield paper.total(sums)


def _align(form: Form) -> Align:
    return Align.R if form in NUMBERS else Align.L
