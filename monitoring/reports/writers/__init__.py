"""Forms of a report: each writer takes rows as they come and puts them into a file."""

from collections.abc import Callable, Mapping
from typing import IO

from monitoring.enums import ReportFormat
from monitoring.reports.content import Content
from monitoring.reports.reading import Reader
from monitoring.reports.writers import csv_file, json_file, pdf_file, xlsx_file

Writer = Callable[[Content, Reader, IO[bytes]], int]
WRITERS: Mapping[ReportFormat, Writer] = {
    ReportFormat.JSON: json_file.write,
    ReportFormat.CSV: csv_file.write,
    ReportFormat.XLSX: xlsx_file.write,
    ReportFormat.PDF: pdf_file.write,
}
CONTENT_TYPES: Mapping[str, str] = {
    ReportFormat.JSON: "application/json",
    ReportFormat.CSV: "text/csv; charset=utf-8",
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.PDF: "application/pdf",
}
