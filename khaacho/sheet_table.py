"""Tables on a sheet of paper: headings on every page, rows that are never torn apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fpdf.enums import Align

from khaacho.sheet import MARGIN, PAD, Sheet


@dataclass(frozen=True)
class Column:
    """A column of a table; its width in millimetres with its padding."""

    heading: str
    width: float
    align: Align = Align.L


class Table:
    """A table that goes on from page to page; `size` is that of its text in points."""

    def __init__(self, sheet: Sheet, columns: Sequence[Column], *, size: float) -> None:
        self.sheet = sheet
        self.columns = columns
        self.size = size
        self.width = sum(column.width for column in columns)

    def draw_headings(self) -> None:
        """Draw the headings here; a page that rows begin gets them by itself."""
        self.sheet.use(self.size, bold=True)
        cells = [self.sheet.wrap(column.heading, column.width - 2 * PAD) for column in self.columns]
        height = self._height(cells)
        self.sheet.rect(MARGIN, self.sheet.get_y(), self.width, height, style="F")
        self._draw(cells, height)

    def draw_row(
        self, texts: Sequence[str], *, beneath: Mapping[int, str] | None = None, bold: bool = False
    ) -> None:
        """Draw a row, on a new page when it does not fit; `beneath` adds lines to columns by number."""
        self.sheet.use(self.size, bold=bold)
        cells = [
            self.sheet.wrap(text, column.width - 2 * PAD)
            for text, column in zip(texts, self.columns, strict=True)
        ]
        for number, text in (beneath or {}).items():
            cells[number] += self.sheet.wrap(text, self.columns[number].width - 2 * PAD)
        height = self._height(cells)
        if self.sheet.will_page_break(height):
            self.sheet.add_page()
            self.draw_headings()
            self.sheet.use(self.size, bold=bold)
        self._draw(cells, height)

    def _height(self, cells: Sequence[list[str]]) -> float:
        return max(1, *map(len, cells)) * self.sheet.leading + 2 * PAD

    def _draw(self, cells: Sequence[list[str]], height: float) -> None:
        x, y = MARGIN, self.sheet.get_y()
        for lines, column in zip(cells, self.columns, strict=True):
            self.sheet.stack(x + PAD, y + PAD, column.width - 2 * PAD, lines, column.align)
            x += column.width
        self.sheet.line(MARGIN, y + height, MARGIN + self.width, y + height)
        self.sheet.set_y(y + height)
