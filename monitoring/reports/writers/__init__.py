"""Forms of a report: each writer takes rows as they come and puts them into a file."""

from collections.abc import Callable, Mapping
from typing import IO

from monitoring.enums import ReportFormat
from monitoring.reports.content import Content
from monitoring.reports.reading import Reader
from monitoring.reports.writers import csv_file, json_file


def _paper(content: Content, reader: Reader, file: IO[bytes]) -> int:
    # What draws costs a process half a second and 30 MB, and most never draw.
    from monitoring.reports.writers import pdf_file  # noqa: PLC0415

    return pdf_file.write(content, reader, file)


def _workbook(content: Content, reader: Reader, file: IO[bytes]) -> int:
    from monitoring.reports.writers import xlsx_file  # noqa: PLC0415 - likewise

    return xlsx_file.write(content, reader, file)


Writer = Callable[[Content, Reader, IO[bytes]], int]
WRITERS: Mapping[ReportFormat, Writer] = {
    ReportFormat.JSON: json_file.write,
    ReportFormat.CSV: csv_file.write,
    ReportFormat.XLSX: _workbook,
    ReportFormat.PDF: _paper,
}
CONTENT_TYPES: Mapping[str, str] = {
    ReportFormat.JSON: "application/json",
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.PDF: "application/pdf",
}
