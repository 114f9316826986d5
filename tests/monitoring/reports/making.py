"""Reports made as staff and worker make them, and their files read back by other programs."""

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pypdfium2
from openpyxl import load_workbook

from khaacho import jobs
from khaacho.actors import SYSTEM, Actor
from khaacho.models import Job
from monitoring import services
from monitoring.enums import ReportFormat, ReportKind
from monitoring.models import Report
from monitoring.reports import files

D = Decimal


def ask(kind: str, form: str = "json", *, actor: Actor = SYSTEM, **given: Any) -> Report:
    """Have a report made; `start` and `end` stand for `from` and `to`."""
    names = {"start": "from", "end": "to"}
    return services.request_report(
        kind=ReportKind(kind),
        form=ReportFormat(form),
        given={names.get(name, name): value for name, value in given.items()},
        actor=actor,
    )


def work(report: Report) -> Report:
    """Do the report's job and no other's; return the report as it is then."""
    jobs.run(Job.objects.get(dedupe_key=f"report:{report.pk}").pk)
    report.refresh_from_db()
    return report


def made(kind: str, form: str = "json", **given: Any) -> bytes:
    report = work(ask(kind, form, **given))
    assert report.state == "done", (report.error, Job.objects.get(pk=report.job_id).last_error)
    return file_of(report)


def file_of(report: Report) -> bytes:
    return b"".join(files.chunks(report.pk))


def document(kind: str, **given: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made(kind, "json", **given))
    return found


def rows(kind: str, **given: Any) -> list[dict[str, Any]]:
    return list(document(kind, **given)["rows"])


def csv_rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


def cells(data: bytes, sheet: str = "Report") -> list[tuple[Any, ...]]:
    return list(load_workbook(io.BytesIO(data))[sheet].iter_rows(values_only=True))


def pages(data: bytes) -> list[str]:
    """Return the text of each page."""
    with pypdfium2.PdfDocument(data) as document:
        return [page.get_textpage().get_text_bounded() for page in document]
