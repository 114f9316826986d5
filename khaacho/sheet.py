"""An A4 sheet of paper in fonts of its own: Latin and Devanagari, wrapped and never clipped."""

import logging
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import Align
from fpdf.fonts import TTFFont

from khaacho.lettering import syllables

LATIN, DEVANAGARI = "NotoSans", "NotoSansDevanagari"
FONTS = Path(__file__).parent / "fonts"
MARGIN, FOOT, WIDTH = 15.0, 18.0, 180.0  # millimetres; the width is an upright sheet's
PAD = 1.2  # millimetres between a table's rules and its text
SMALL = 8.0  # points
LEADING = 1.4 * 25.4 / 72  # millimetres of a line per point of its size
INK, QUIET = (20, 20, 20), (95, 95, 95)
RULE, SHADE = (170, 170, 170), (238, 238, 238)
BREAKS = re.compile("(?<=[ /-])")
PAGES = "\x1f\x1f"  # stands for the number of pages; `one_line` takes it out of every text

# At INFO it tells some forty lines about each font of each document.
logging.getLogger("fontTools.subset").setLevel(logging.WARNING)


class Sheet(FPDF):
    """An A4 document in the bundled fonts, each page numbered at its foot.

    Only what is not ASCII is shaped by HarfBuzz: plain text is drawn ten times faster without.
    """

    def __init__(
        self,
        *,
        title: str,
        author: str,
        subject: str,
        created_at: datetime,
        foot: str,
        is_wide: bool = False,
    ) -> None:
        super().__init__(format="A4", orientation="landscape" if is_wide else "portrait")
        self.set_margins(MARGIN, MARGIN)
        self.set_auto_page_break(True, FOOT)
        self.c_margin = 0
        self.set_draw_color(*RULE)
        self.set_fill_color(*SHADE)
        self.alias_nb_pages(PAGES)
        for family in (LATIN, DEVANAGARI):
            self.add_font(family, "", FONTS / f"{family}-Regular.ttf")
            self.add_font(family, "B", FONTS / f"{family}-Bold.ttf")
        self.set_title(title)
        self.set_author(author)
        self.set_subject(subject)
        self.set_creator("Khaacho")
        self.set_creation_date(created_at)
        self.set_lang("en")
        self._foot = foot
        self._widths: dict[tuple[str, float, str], float] = {}

    def close(self) -> None:
        """Let go of the fonts' files; use the sheet with `contextlib.closing`."""
        for font in self.fonts.values():
            if isinstance(font, TTFFont):
                font.ttfont.close()

    def footer(self) -> None:
        self.use(SMALL, quiet=True)
        self.put(MARGIN, self.h - FOOT + 6, self.epw, self._foot)
        self.put(MARGIN, self.h - FOOT + 6, self.epw, f"Page {self.page_no()} of {PAGES}", Align.R)

    def use(self, size: float, *, bold: bool = False, quiet: bool = False) -> None:
        """Write from now on in this size and weight."""
        self.set_font(LATIN, "B" if bold else "", size)
        self.set_text_color(*(QUIET if quiet else INK))

    @property
    def leading(self) -> float:
        """The height of a line in millimetres."""
        return self.font_size_pt * LEADING

    def put(self, x: float, y: float, width: float, text: str, align: Align = Align.L) -> None:
        """Write one line; it fits."""
        self._shape(text)
        self.set_xy(x, y)
        self.cell(width, self.leading, text, align=align)

    def stack(
        self, x: float, y: float, width: float, lines: list[str], align: Align = Align.L
    ) -> float:
        """Write lines one below the other; return where the next one would be."""
        for line in lines:
            self.put(x, y, width, line, align)
            y += self.leading
        return y

    def wrap(self, text: str, width: float) -> list[str]:
        """Return text as lines no wider than `width`; a word that is wider goes on within itself."""
        lines: list[str] = []
        used = 0.0
        for part in self._parts(text, width):
            if lines and used + self._wide(part.rstrip()) <= width:
                lines[-1] += part
                used += self._wide(part)
            else:
                lines.append(part)
                used = self._wide(part)
        return [line.rstrip() for line in lines]

    def _parts(self, text: str, width: float) -> Iterator[str]:
        if not text or self._wide(text) <= width:
            yield from [text] if text else []
            return
        for part in BREAKS.split(text):
            yield from [part] if self._wide(part.rstrip()) <= width else syllables(part)

    def _wide(self, text: str) -> float:
        key = (self.font_style, self.font_size_pt, text)
        if key not in self._widths:
            self._shape(text)
            self._widths[key] = self.get_string_width(text)
        return self._widths[key]

    def _shape(self, text: str) -> None:
        is_plain = text.isascii()
        self.set_text_shaping(not is_plain)
        self.set_fallback_fonts([] if is_plain else [DEVANAGARI])
