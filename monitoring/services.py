"""Reports asked for, cancelled, taken out and forgotten."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

from django.utils import timezone
from psycopg.types.json import Jsonb

from credit.models import Retailer
from khaacho import audit, job_desk, jobs, permissions, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.exceptions import Conflict, Invalid, NotFound
from khaacho.jobs import NewJob
from khaacho.transactions import verb
from monitoring import selectors
from monitoring.enums import OPEN_REPORT_STATES, ReportFormat, ReportKind, ReportState
from monitoring.exceptions import ReportExpired, ReportNotReady
from monitoring.models import Report
from monitoring.reports import files, filters
from monitoring.reports.kinds import KINDS
from vendors.models import Vendor

MAKE = "reports.make"
URGENT = 10  # what a person waits for goes before what the month brings
STATEMENT_PDF_MAX = 2000  # entries of a month that are put on paper; of more a spreadsheet is made
ROWS_KEPT_DAYS = 365  # who took what out stays known that long; the file goes after 90
BATCH = 1000

ASK = """
INSERT INTO reports (kind, format, filters, retailer_id, requested_by_id)
VALUES (%(kind)s, %(format)s, %(filters)s, %(retailer)s, %(actor)s)
ON CONFLICT (requested_by_id, kind, format, filters) WHERE state IN ('queued', 'running')
DO UPDATE SET kind = EXCLUDED.kind
RETURNING id, xmax = 0
"""


@verb
def request_report(
    *, kind: ReportKind, form: ReportFormat, given: Mapping[str, Any], actor: Actor
) -> Report:
    """Have a report made; asked for twice while it is open, it is the same one.

    `given` are its filters (docs/reports.md). Raises Invalid with errors by filter, Forbidden.
    """
    act(actor)
    require_staff(actor)
    permissions.require(actor, "monitoring.request_report")
    kept = clean(kind, given)
    row = sql.fetch_one(
        ASK,
        {
            "kind": kind,
            "format": form,
            "filters": Jsonb(kept),
            "retailer": kept["retailer_id"] if kind == ReportKind.STATEMENT else None,
            "actor": actor.user_id,
        },
    )
    assert row is not None
    report_id, is_new = row
    if is_new:
        _begin(report_id)
        audit.record(
            actor,
            "report.requested",
            entity_type="report",
            entity_id=report_id,
            kind=kind,
            format=form,
            filters=kept,
        )
    return Report.objects.get(pk=report_id)


def _begin(report_id: int) -> None:
    job_id = jobs.enqueue(
        MAKE,
        {"report_id": report_id},
        reference=f"report:{report_id}",
        dedupe_key=f"report:{report_id}",
        priority=URGENT,
    )
    sql.execute("UPDATE reports SET job_id = %s WHERE id = %s", [job_id, report_id])


def clean(kind: ReportKind, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters as a report keeps them. Raises Invalid, also for records that do not exist."""
    kept = filters.clean(given, KINDS[kind].allowed, timezone.localdate())
    errors: dict[str, list[str]] = {}
    if "retailer_id" in kept and not Retailer.objects.filter(pk=kept["retailer_id"]).exists():
        errors["retailer_id"] = ["There is no such retailer."]
    if "vendor_id" in kept and not Vendor.objects.filter(pk=kept["vendor_id"]).exists():
        errors["vendor_id"] = ["There is no such vendor."]
    if errors:
        raise Invalid("The report's filters are not valid.", errors=errors)
    return kept


@verb
def cancel_report(*, report_id: int, actor: Actor) -> Report:
    """Stop a report that is not made yet; nothing of it is kept. Locks the report, then its job.

    Who makes it notices within a second. Raises NotFound, Forbidden, Conflict when it is over already.
    """
    act(actor)
    permissions.require(actor, "monitoring.cancel_report")
    report = (
        selectors.reports(actor).select_for_update(of=("self",), no_key=True).filter(pk=report_id)
    ).first()
    if report is None:
        raise NotFound
    if report.state not in OPEN_REPORT_STATES:
        raise Conflict(f"The report is {report.state} already.")
    sql.execute(
        "UPDATE reports SET state = 'cancelled', finished_at = clock_timestamp() WHERE id = %s",
        [report_id],
    )
    audit.record(actor, "report.cancelled", entity_type="report", entity_id=report_id)
    if report.job_id is not None:
        with suppress(Conflict, NotFound):  # it ended, or died and was purged, in this moment
            job_desk.cancel(report.job_id, "Its report was cancelled.", actor)
    report.refresh_from_db()
    return report


@verb
def take_out(*, report_id: int, actor: Actor) -> Report:
    """Return a report whose file may be sent to the actor, and note that it was.

    Raises NotFound, Forbidden, ReportNotReady, ReportExpired.
    """
    act(actor)
    permissions.require(actor, "monitoring.download_report")
    report = selectors.reports(actor).filter(pk=report_id).first()
    if report is None:
        raise NotFound
    if report.state != ReportState.DONE:
        raise ReportNotReady(f"The report is {report.state}; it has no file.")
    if not selectors.has_file(report_id):
        raise ReportExpired
    audit.record(actor, "report.downloaded", entity_type="report", entity_id=report_id)
    return report


# Reports that nobody asked for

OF_THE_MONTH: tuple[tuple[ReportKind, dict[str, str]], ...] = (
    (ReportKind.OUTSTANDING_LIABILITY, {}),
    (ReportKind.PURCHASE_VOLUME, {"group_by": "retailer"}),
    (ReportKind.PAYMENT_DISCIPLINE, {}),
    (ReportKind.CREDIT_SUMMARY, {"group_by": "retailer"}),
)
INSERT_MONTH = """
INSERT INTO reports (kind, format, filters)
SELECT * FROM unnest(%(kinds)s::text[], %(formats)s::text[], %(filters)s::jsonb[])
ON CONFLICT (requested_by_id, kind, format, filters) WHERE state IN ('queued', 'running') DO NOTHING
RETURNING id
"""
# Each retailer with an entry in the month, in one statement.
INSERT_STATEMENTS = """
INSERT INTO reports (kind, format, filters, retailer_id)
SELECT 'STATEMENT', CASE WHEN count(*) <= %(paper)s THEN 'pdf' ELSE 'csv' END,
    jsonb_build_object('retailer_id', retailer_id, 'from', %(start)s::text, 'to', %(end)s::text),
    retailer_id
FROM credit_ledgers WHERE created_at >= %(start_at)s AND created_at < %(end_at)s
GROUP BY retailer_id ORDER BY retailer_id
ON CONFLICT (requested_by_id, kind, format, filters) WHERE state IN ('queued', 'running') DO NOTHING
RETURNING id
"""
NAME_JOBS = """
UPDATE reports SET job_id = j.id FROM jobs j
WHERE reports.id = ANY(%s) AND j.dedupe_key = 'report:' || reports.id
    AND j.state IN ('queued', 'running')
"""


@verb
def make_monthly(*, today: date) -> int:
    """Queue the reports of the month before `today` (a day of Kathmandu), and a statement of each
    retailer with entries in it; return how many."""
    end = today.replace(day=1) - timedelta(days=1)
    start = end.replace(day=1)
    period = {"from": start.isoformat(), "to": end.isoformat()}
    kept = [
        chosen | (period if KINDS[kind].allowed.has_period else {}) for kind, chosen in OF_THE_MONTH
    ]
    made = sql.fetch(
        INSERT_MONTH,
        {
            "kinds": [kind.value for kind, _ in OF_THE_MONTH],
            "formats": [ReportFormat.XLSX.value] * len(kept),
            "filters": [Jsonb(each) for each in kept],
        },
    )
    made += sql.fetch(
        INSERT_STATEMENTS,
        {
            "paper": STATEMENT_PDF_MAX,
            "start": start,
            "end": end,
            "start_at": filters.midnight(start),
            "end_at": filters.midnight(end + timedelta(days=1)),
        },
    )
    ids = [row[0] for row in made]
    for first in range(0, len(ids), BATCH):
        _queue(ids[first : first + BATCH])
    return len(ids)


def _queue(ids: list[int]) -> None:
    jobs.insert([NewJob(MAKE, {"report_id": pk}, f"report:{pk}", f"report:{pk}") for pk in ids])
    sql.execute(NAME_JOBS, [ids])


# A report whose job is dead or gone would stand open for ever.
MEND = """
UPDATE reports SET finished_at = clock_timestamp(),
    state = CASE WHEN j.state = 'cancelled' THEN 'cancelled' ELSE 'failed' END,
    error = CASE WHEN j.state = 'cancelled' THEN '' ELSE
        'The worker stopped without an answer; the job says more.' END
FROM reports r LEFT JOIN jobs j ON j.id = r.job_id
WHERE reports.id = r.id AND r.state IN ('queued', 'running')
    AND (j.id IS NULL OR j.state IN ('done', 'dead', 'cancelled'))
"""


@verb
def close_abandoned() -> int:
    """End reports whose job ended without a word (it died, or was cancelled by itself); return how many."""
    return sql.execute(MEND)


FORGET_ROWS = """
DELETE FROM reports WHERE id = ANY (ARRAY(
    SELECT id FROM reports
    WHERE state NOT IN ('queued', 'running')
        AND created_at < now() - make_interval(days => %(days)s)
    ORDER BY created_at LIMIT %(limit)s))
"""


@verb
def forget_expired() -> int:
    """Delete files past their day, and reports a year old, a batch of each; return how many went.

    A job runs it until nothing is left.
    """
    chunks = files.forget_expired()
    return chunks + sql.execute(FORGET_ROWS, {"days": ROWS_KEPT_DAYS, "limit": BATCH})
