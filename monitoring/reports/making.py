"""One report made: read in a snapshot, written to a file that nobody sees, stored whole or not at all."""

import logging
import tempfile
from typing import IO, Any

from django.db import transaction
from django.utils import timezone

from credit.models import Retailer
from khaacho import jobs, logs, sql
from khaacho.exceptions import KhaachoError, LeaseLost
from khaacho.jobs import Claim
from monitoring.enums import ReportFormat, ReportKind
from monitoring.exceptions import ReportCancelled
from monitoring.models import ERROR_MAX, Report
from monitoring.reports import files
from monitoring.reports.content import Content
from monitoring.reports.filters import Filters
from monitoring.reports.kinds import KINDS
from monitoring.reports.reading import snapshot
from monitoring.reports.watching import watching
from monitoring.reports.writers import WRITERS
from vendors.models import Vendor

KEPT_DAYS = 90
SPARE_SECONDS = 30  # of the job's soft limit, for storing the file

log = logging.getLogger(__name__)

BEGIN = """
UPDATE reports SET state = 'running', progress = 0, error = '', finished_at = NULL,
    started_at = clock_timestamp()
WHERE id = %s AND state IN ('queued', 'running', 'failed')
"""
FINISH = """
UPDATE reports SET state = 'done', progress = 100, row_count = %(rows)s, size = %(size)s,
    sha256 = %(sha256)s, file_name = %(name)s, finished_at = statement_timestamp(),
    expires_at = statement_timestamp() + make_interval(days => %(days)s)
WHERE id = %(id)s AND state = 'running'
"""
FAIL = """
UPDATE reports SET state = 'failed', error = %s, finished_at = clock_timestamp()
WHERE id = %s AND state = 'running'
"""


def make(claim: Claim, report_id: int) -> None:
    """Make a report's file. One that was cancelled, or is done, is left as it is.

    What cannot be made (too long, too slow) is failed at once, a fault of ours after the last attempt.
    Raises LeaseLost, and whatever went wrong before that.
    """
    report = _begin(claim, report_id)
    if report is None:
        return
    try:
        _make(claim, report)
    except ReportCancelled:
        log.info("report.cancelled", extra={"report_id": report_id})
    except LeaseLost:
        raise
    except KhaachoError as refusal:
        _fail(claim, report_id, refusal.message)
    except Exception as error:
        if claim.attempts >= claim.max_attempts:
            _fail(claim, report_id, f"{type(error).__name__}: {error}")
        raise


def _begin(claim: Claim, report_id: int) -> Report | None:
    with transaction.atomic():
        if not sql.execute(BEGIN, [report_id]):
            return None
        jobs.report_progress(claim, 0)
        return Report.objects.select_related("retailer").get(pk=report_id)


def _make(claim: Claim, report: Report) -> None:
    kind = KINDS[ReportKind(report.kind)]
    filters = Filters(report.filters)
    with tempfile.TemporaryFile() as file:
        with (
            watching(claim, report.pk) as watch,
            snapshot(
                watch,
                kind.statement(filters),
                filters.bound(),
                seconds=max(1, claim.soft_limit - SPARE_SECONDS),
                # which may cancel what stands in the way of what it replays, or be lost meanwhile
                may_use_replica=claim.attempts == 1,
            ) as reader,
        ):
            rows = WRITERS[ReportFormat(report.format)](content_of(report), reader, file)
        watch.check()
        _store(claim, report, file, rows)


def _store(claim: Claim, report: Report, file: IO[bytes], rows: int) -> None:
    """Store the file and say that it is done, in one transaction under the job's fence."""
    with transaction.atomic():
        size, digest = files.store(report.pk, file)
        values: dict[str, Any] = {
            "id": report.pk,
            "rows": rows,
            "size": size,
            "sha256": digest,
            "name": file_name(report),
            "days": KEPT_DAYS,
        }
        if not sql.execute(FINISH, values):
            raise ReportCancelled
        jobs.report_progress(claim, 100)


def _fail(claim: Claim, report_id: int, message: str) -> None:
    text = logs.scrub(message)[:ERROR_MAX] or "unknown"
    with transaction.atomic():
        sql.execute(FAIL, [text, report_id])
        jobs.report_progress(claim, 0)
    log.warning("report.failed", extra={"report_id": report_id, "error": text})


def content_of(report: Report) -> Content:
    """Return what the report is, for its writer. At most two statements."""
    kind = KINDS[ReportKind(report.kind)]
    filters = Filters(report.filters)
    return Content(
        kind=report.kind,
        title=kind.title,
        title_ne=kind.title_ne,
        columns=kind.columns(filters),
        filters=report.filters,
        facts=_facts(report, filters),
    )


def _facts(report: Report, filters: Filters) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = []
    if "from" in filters:
        facts.append(("Period", f"{filters.start} to {filters.end}"))
    if "group_by" in filters:
        facts.append(("By", filters.group_by))
    shop = Retailer.objects.filter(pk=filters.kept.get("retailer_id", 0)).first()
    if shop is not None:
        facts.append(("Shop", f"{shop.shop_name} {shop.shop_name_ne}".strip()))
        facts.append(("Code", shop.code))
    vendor = Vendor.objects.filter(pk=filters.kept.get("vendor_id", 0)).first()
    if vendor is not None:
        facts.append(("Wholesaler", f"{vendor.business_name} {vendor.business_name_ne}".strip()))
    if "district" in filters:
        facts.append(("District", str(filters.kept["district"])))
    if "min_outstanding" in filters:
        facts.append(("Outstanding at least", f"NPR {filters.kept['min_outstanding']}"))
    return facts


def file_name(report: Report) -> str:
    """Return a name for the file, of ASCII letters: kind, shop or group, and days."""
    kept = report.filters
    parts = [report.kind.lower().replace("_", "-")]
    parts += [report.retailer.code] if report.retailer else []
    parts += [f"by-{kept['group_by']}"] if "group_by" in kept else []
    days = [kept["from"], kept["to"]] if "from" in kept else [_day(report)]
    return f"{'-'.join([*parts, *days])}.{report.format}"


def _day(report: Report) -> str:
    return timezone.localtime(report.created_at).date().isoformat()
