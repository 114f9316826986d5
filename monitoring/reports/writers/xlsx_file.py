"""A workbook: the rows on one sheet, what they are on another. Text is never a formula."""

import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import IO, Any

from django.utils import timezone
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from monitoring.reports.columns import NUMBERS, Column, Form, Sums
from monitoring.reports.content import Content, check_size
from monitoring.reports.reading import Reader

MOST_ROWS = 1_000_000  # a sheet holds 1,048,576
CELL_MAX = 32_767  # characters
SCRATCH = "khaacho-report-"
STALE = 3600  # seconds after which a killed worker's scratch directory is removed
# Lakh and crore by the size of the number; Excel knows no such grouping of its own.
LAKH = r"[>=10000000]##\,##\,##\,##0{0};[>=100000]##\,##\,##0{0};##,##0{0}"
NUMBER_FORMATS = {
    Form.NPR: LAKH.format(".00"),
    Form.COUNT: LAKH.format(""),
    Form.SHARE: "0.0",
    Form.DAY: "yyyy-mm-dd",
}
OPTIONS = {
    "constant_memory": True,
    "strings_to_formulas": False,
    "strings_to_urls": False,
    "strings_to_numbers": False,
    "default_date_format": "yyyy-mm-dd",
}


def write(content: Content, reader: Reader, file: IO[bytes]) -> int:
    """Write the report as a workbook, a row at a time; return how many rows. Raises ReportTooLong."""
    _remove_stale()
    with tempfile.TemporaryDirectory(prefix=SCRATCH) as scratch:
        with Workbook(file, {**OPTIONS, "tmpdir": scratch}) as book:
            count = _write_rows(book, content, reader)
            _write_facts(book, content, reader)
        check_size(file)
    return count


def _remove_stale() -> None:
    """Remove what workers that were killed left behind; others may be writing theirs."""
    for path in Path(tempfile.gettempdir()).glob(f"{SCRATCH}*"):
        if path.stat().st_mtime < time.time() - STALE and path.stat().st_uid == os.getuid():
            shutil.rmtree(path, ignore_errors=True)


def _write_rows(book: Workbook, content: Content, reader: Reader) -> int:
    sheet = book.add_worksheet("Report")
    formats = {form: book.add_format({"num_format": text}) for form, text in NUMBER_FORMATS.items()}
    bold = {
        form: book.add_format({"num_format": text, "bold": True, "top": 1})
        for form, text in NUMBER_FORMATS.items()
    }
    _write_headings(book, sheet, content)
    sums = Sums(content.columns)
    count = 0
    for count, row in enumerate(reader.rows(MOST_ROWS), start=1):
        for place, (value, column) in enumerate(zip(row, content.columns, strict=True)):
            _write_cell(sheet, count, place, value, column.form, formats)
        sums.add(row)
    sheet.autofilter(0, 0, count, len(content.columns) - 1)
    for place, column in enumerate(content.columns):
        _write_cell(sheet, count + 1, place, sums.get(place), column.form, bold)
    return count


def _write_headings(book: Workbook, sheet: Worksheet, content: Content) -> None:
    head = {"bold": True, "text_wrap": True, "valign": "top", "bg_color": "#EEEEEE", "bottom": 1}
    left, right = book.add_format(head), book.add_format({**head, "align": "right"})
    sheet.freeze_panes(1, 0)
    sheet.repeat_rows(0)
    sheet.set_landscape()
    sheet.set_paper(9)  # A4
    sheet.fit_to_pages(1, 0)
    for place, column in enumerate(content.columns):
        sheet.set_column(place, place, _width(column))
        sheet.write_string(0, place, column.label, right if column.form in NUMBERS else left)


def _width(column: Column) -> float:
    """Return a column's width in characters."""
    return max(column.width * 1.4, 16 if column.form == Form.NPR else 10)


def _write_cell(
    sheet: Worksheet, line: int, place: int, value: Any, form: Form, formats: dict[Form, Any]
) -> None:
    if value is None or value == "":
        return
    if form in NUMBERS:
        sheet.write_number(line, place, value, formats[form])
    elif form == Form.DAY:
        sheet.write_datetime(line, place, value, formats[form])
    elif form == Form.YES:
        sheet.write_string(line, place, "yes" if value else "no")
    else:
        sheet.write_string(line, place, str(value)[:CELL_MAX])


def _write_facts(book: Workbook, content: Content, reader: Reader) -> None:
    sheet = book.add_worksheet("About")
    sheet.set_column(0, 0, 24)
    sheet.set_column(1, 1, 60)
    bold = book.add_format({"bold": True})
    read_at = f"{timezone.localtime(reader.read_at):%Y-%m-%d %H:%M} (Kathmandu)"
    facts = [(content.title, content.title_ne), *content.facts, ("As of", read_at)]
    for line, (label, value) in enumerate(facts):
        sheet.write_string(line, 0, label, bold)
        sheet.write_string(line, 1, value)
