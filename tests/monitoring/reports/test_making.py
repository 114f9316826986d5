"""A report's life: asked for once, made whole or not at all, cancelled, retried, forgotten."""

import hashlib
import io
import os
import signal
import tempfile
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from khaacho import job_desk, jobs, schedules, sql
from khaacho.actors import SYSTEM
from khaacho.exceptions import Conflict, Forbidden, Invalid, LeaseLost, NotFound
from khaacho.models import AuditLog, Job
from khaacho.tenants import actor_of
from monitoring import services
from monitoring.exceptions import ReportCancelled, ReportExpired, ReportNotReady, ReportTooLong
from monitoring.models import Report
from monitoring.reports import content, making, reading
from monitoring.reports.columns import Column, Form, npr
from monitoring.reports.content import Content
from monitoring.reports.reading import snapshot
from monitoring.reports.writers import csv_file, json_file, xlsx_file
from tests.factories import (
    advance,
    make_actor,
    make_employee,
    make_offer,
    make_order,
    make_retailer,
    retailer_actor,
)
from tests.monitoring.reports.making import ask, cells, file_of, work
from tests.processes import process, wait_for
from tests.races import race

pytestmark = pytest.mark.django_db(transaction=True)


def chunks(report: Report) -> int:
    return sql.fetch("SELECT count(*) FROM report_files WHERE report_id = %s", [report.pk])[0][0]


def job_of(report: Report) -> Job:
    return Job.objects.get(pk=report.job_id)


# Asked for


def test_the_same_open_report_is_asked_for_once():
    one = ask("CREDIT_SUMMARY", "csv", district="Surkhet")
    same = ask("CREDIT_SUMMARY", "csv", district=" Surkhet")
    other_form = ask("CREDIT_SUMMARY", "xlsx", district="Surkhet")
    others = ask("CREDIT_SUMMARY", "csv", district="Surkhet", actor=actor_of(make_employee()))
    assert same.pk == one.pk
    assert len({one.pk, other_form.pk, others.pk}) == 3
    assert Job.objects.filter(kind="reports.make").count() == 3
    assert AuditLog.objects.filter(action="report.requested").count() == 3
    work(one)
    assert ask("CREDIT_SUMMARY", "csv", district="Surkhet").pk != one.pk


def test_many_who_ask_at_once_get_one_report_and_one_job():
    actor = actor_of(make_employee())
    outcomes = race(*[lambda: ask("OUTSTANDING_LIABILITY", "csv", actor=actor)] * 8)
    assert outcomes == {"ok": 8}
    report = Report.objects.get()
    assert job_of(report).dedupe_key == f"report:{report.pk}"
    assert Job.objects.filter(kind="reports.make").count() == 1


def test_defaults_are_kept_with_the_report():
    report = ask("PURCHASE_VOLUME")
    today = timezone.localdate()
    assert report.filters == {
        "group_by": "retailer",
        "from": (today - timedelta(days=30)).isoformat(),
        "to": today.isoformat(),
    }
    assert (report.state, report.progress, report.requested_by) == ("queued", 0, None)
    assert job_of(report).priority == services.URGENT


@pytest.mark.parametrize(
    ("kind", "given", "field"),
    [
        ("CREDIT_SUMMARY", {"from": "2026-01-01"}, "from"),
        ("CREDIT_SUMMARY", {"planet": "Mars"}, "planet"),
        ("CREDIT_SUMMARY", {"group_by": "planet"}, "group_by"),
        ("CREDIT_SUMMARY", {"min_outstanding": "-1"}, "min_outstanding"),
        ("CREDIT_SUMMARY", {"min_outstanding": "1.005"}, "min_outstanding"),
        ("CREDIT_SUMMARY", {"min_outstanding": "NaN"}, "min_outstanding"),
        ("CREDIT_SUMMARY", {"min_outstanding": True}, "min_outstanding"),
        ("CREDIT_SUMMARY", {"district": ""}, "district"),
        ("CREDIT_SUMMARY", {"district": "x\0y"}, "district"),
        ("CREDIT_SUMMARY", {"district": ["Surkhet"]}, "district"),
        ("CREDIT_SUMMARY", {"retailer_id": 99_999}, "retailer_id"),
        ("CREDIT_SUMMARY", {"vendor_id": "²"}, "vendor_id"),
        ("CREDIT_SUMMARY", {"vendor_id": 2**63}, "vendor_id"),
        ("CREDIT_SUMMARY", {"vendor_id": True}, "vendor_id"),
        ("CREDIT_SUMMARY", {"vendor_id": 1.5}, "vendor_id"),
        ("PURCHASE_VOLUME", {"from": "2026-02-30"}, "from"),
        ("PURCHASE_VOLUME", {"from": "yesterday"}, "from"),
        ("PURCHASE_VOLUME", {"to": 20260101}, "to"),
        ("PURCHASE_VOLUME", {"to": "0001-01-01"}, "to"),
        ("PURCHASE_VOLUME", {"from": "2026-02-02", "to": "2026-02-01"}, "from"),
        ("PURCHASE_VOLUME", {"from": "2001-01-01", "to": "2026-01-01"}, "from"),
        ("STATEMENT", {}, "retailer_id"),
    ],
)
def test_refuses_filters_that_mean_nothing(kind, given, field):
    with pytest.raises(Invalid) as refusal:
        services.request_report(
            kind=services.ReportKind(kind),
            form=services.ReportFormat.CSV,
            given=given,
            actor=SYSTEM,
        )
    assert list(refusal.value.errors) == [field]
    assert not Report.objects.exists()


def test_refuses_shops_and_employees_whose_groups_do_not_allow_it():
    with pytest.raises(Forbidden):
        ask("CREDIT_SUMMARY", actor=retailer_actor(make_retailer()))
    with pytest.raises(Forbidden):
        ask("CREDIT_SUMMARY", actor=actor_of(make_employee("Support")))
    with pytest.raises(Forbidden):
        ask("CREDIT_SUMMARY", actor=make_actor())
    assert not Report.objects.exists()


# Made


def test_it_is_done_with_its_file_and_what_is_known_of_it():
    make_retailer()
    report = work(ask("CREDIT_SUMMARY", "csv"))
    data = file_of(report)
    today = timezone.localdate().isoformat()
    assert (report.state, report.progress, report.row_count) == ("done", 100, 1)
    assert report.size == len(data)
    assert report.sha256 == hashlib.sha256(data).hexdigest()
    assert report.file_name == f"credit-summary-by-retailer-{today}.csv"
    assert report.expires_at - report.finished_at == timedelta(days=90)
    assert (job_of(report).state, job_of(report).progress) == ("done", 100)


def test_a_large_file_is_whole(monkeypatch):
    monkeypatch.setattr("monitoring.reports.files.CHUNK", 100)
    for _ in range(30):
        make_retailer()
    report = work(ask("CREDIT_SUMMARY", "json"))
    assert chunks(report) > 20
    assert len(file_of(report)) == report.size


def test_done_again_it_is_left_alone():
    report = work(ask("CREDIT_SUMMARY", "csv"))
    Job.objects.filter(pk=report.job_id).update(state="queued", run_after=timezone.now())
    before = report.finished_at
    assert work(report).finished_at == before
    assert job_of(report).state == "done"


@contextmanager
def held(table: str = "retailers") -> Iterator[None]:
    """Hold a table so that whoever reads it stands in the middle of its statement."""
    ready, free = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with transaction.atomic():
                sql.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
                ready.set()
                free.wait(60)
        finally:
            connections.close_all()

    thread = threading.Thread(target=hold)
    thread.start()
    assert ready.wait(10)
    try:
        yield
    finally:
        free.set()
        thread.join(10)


@contextmanager
def at_work(report: Report) -> Iterator[Callable[[], float]]:
    """Make the report in another thread; yield a function that waits for its end, and says how long."""

    def run() -> None:
        try:
            jobs.run(report.job_id)
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    wait_for(_waits_for_lock, what="the report's statement")

    def ended() -> float:
        started = time.monotonic()
        thread.join(30)
        assert not thread.is_alive()
        return time.monotonic() - started

    try:
        yield ended
    finally:
        thread.join(60)


def _waits_for_lock() -> bool:
    return bool(
        sql.fetch(
            "SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()"
        )
    )


def test_cancelled_in_the_middle_of_its_statement_it_ends_within_seconds():
    report = ask("CREDIT_SUMMARY", "csv")
    with held("payments"), at_work(report) as ended:
        services.cancel_report(report_id=report.pk, actor=SYSTEM)
        assert ended() < 5
    report.refresh_from_db()
    assert (report.state, chunks(report), report.size) == ("cancelled", 0, None)
    assert AuditLog.objects.filter(action="report.cancelled", entity_id=report.pk).exists()
    assert job_of(report).state == "cancelled"


def test_a_worker_that_lost_its_job_stores_nothing_and_the_next_one_does():
    make_retailer()
    report = ask("CREDIT_SUMMARY", "csv")
    with held("payments"), at_work(report) as ended:
        Job.objects.filter(pk=report.job_id).update(fence=99)
        assert ended() < 5
    report.refresh_from_db()
    assert (report.state, chunks(report)) == ("running", 0)
    Job.objects.filter(pk=report.job_id).update(state="queued")
    assert (work(report).state, report.row_count) == ("done", 1)


def test_a_worker_that_is_overtaken_while_storing_stores_nothing():
    report = ask("CREDIT_SUMMARY", "csv")
    claim = jobs.claim_next("reports")
    Job.objects.filter(pk=report.job_id).update(fence=claim.fence + 1)
    with pytest.raises(LeaseLost):
        making.make(claim, report.pk)
    report.refresh_from_db()
    assert (report.state, chunks(report)) == ("queued", 0)


def begun(report: Report) -> jobs.Claim:
    claim = jobs.claim_next("reports")
    assert claim is not None
    assert claim.job_id == report.job_id
    assert making._begin(claim, report.pk) is not None
    return claim


def test_the_file_is_stored_under_the_fence_and_only_while_it_is_wanted():
    report, other = ask("CREDIT_SUMMARY", "csv"), ask("CREDIT_SUMMARY", "json")
    claim, others = begun(report), begun(other)
    Job.objects.filter(pk=report.job_id).update(fence=claim.fence + 1)
    with pytest.raises(LeaseLost):
        making._store(claim, report, io.BytesIO(b"late"), 1)
    services.cancel_report(report_id=other.pk, actor=SYSTEM)
    with pytest.raises(ReportCancelled):
        making._store(others, other, io.BytesIO(b"unwanted"), 1)
    report.refresh_from_db()
    other.refresh_from_db()
    assert (report.state, chunks(report)) == ("running", 0)
    assert (other.state, chunks(other)) == ("cancelled", 0)


@pytest.mark.processes
def test_killed_in_the_middle_nothing_half_is_left_and_the_retry_is_whole(tmp_path):
    make_retailer()
    report = ask("CREDIT_SUMMARY", "xlsx")
    with held("payments"):
        with process("manage.py", "run_jobs", log=tmp_path / "log") as worker:
            wait_for(_waits_for_lock, seconds=60, what="the report's statement")
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
        report.refresh_from_db()
        assert (report.state, chunks(report)) == ("running", 0)
        sql.execute(
            "UPDATE jobs SET lease_until = now() - interval '1 second' WHERE lease_until > now()"
        )
        jobs.sweep()
        assert job_of(report).state == "queued"
    assert (work(report).state, report.row_count) == ("done", 1)
    assert job_of(report).attempts == 2
    assert len(cells(file_of(report))) == 3


def test_cancelled_while_it_waits_it_is_never_made():
    report = ask("CREDIT_SUMMARY", "csv")
    services.cancel_report(report_id=report.pk, actor=SYSTEM)
    assert (work(report).state, chunks(report)) == ("cancelled", 0)
    with pytest.raises(Conflict, match="cancelled already"):
        services.cancel_report(report_id=report.pk, actor=SYSTEM)


def test_who_may_cancel():
    report = ask("CREDIT_SUMMARY", "csv")
    with pytest.raises(Forbidden):
        services.cancel_report(report_id=report.pk, actor=actor_of(make_employee("Support")))
    with pytest.raises(NotFound):
        services.cancel_report(report_id=report.pk + 1, actor=SYSTEM)
    services.cancel_report(report_id=report.pk, actor=actor_of(make_employee("Credit")))
    report.refresh_from_db()
    assert report.state == "cancelled"


def test_a_fault_of_ours_fails_it_after_the_last_attempt_and_it_can_be_retried():
    report = ask("PURCHASE_VOLUME", "csv")
    good = report.filters
    Report.objects.filter(pk=report.pk).update(filters={**good, "group_by": "planet"})
    states = []
    for _ in range(3):
        Job.objects.filter(pk=report.job_id).update(run_after=timezone.now())
        states.append(work(report).state)
    assert states == ["running", "running", "failed"]
    assert report.error == "KeyError: 'planet'"
    assert job_of(report).state == "dead"
    Report.objects.filter(pk=report.pk).update(filters=good)
    job_desk.retry(report.job_id, SYSTEM)
    assert (work(report).state, report.error) == ("done", "")


def test_what_takes_too_long_is_refused_and_not_tried_again(monkeypatch):
    monkeypatch.setattr(making, "SPARE_SECONDS", 539)  # of the job's 540
    report = ask("CREDIT_SUMMARY", "csv")
    with held("payments"), at_work(report) as ended:
        ended()
    report.refresh_from_db()
    assert report.state == "failed"
    assert "ask for a shorter period" in report.error
    assert job_of(report).state == "done"


def test_what_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(content, "MAX_BYTES", 50)
    for form in ("csv", "json", "xlsx", "pdf"):
        report = work(ask("CREDIT_SUMMARY", form))
        assert (report.state, chunks(report)) == ("failed", 0)
        assert "larger than" in report.error


class Unwatched:
    """A watch over a report that is always wanted."""

    percent = 0

    def check(self) -> None:
        pass

    def stop_by(self, stop: Any) -> None:
        pass


MANY = (
    "SELECT 'RTL-' || n AS code, 'Shop ' || n AS name, n::numeric(14,2) AS amount"
    " FROM generate_series(1, {}) AS n"
)
COLUMNS = (Column("code", "Code", Form.CODE), Column("name", "Name"), npr("amount", "Amount"))
PLAIN = Content("X", "X", "", COLUMNS, {}, [])


def test_all_rows_are_of_one_moment():
    make_retailer()
    statement = "SELECT count(*) FROM retailers"
    with snapshot(Unwatched(), statement, {}, seconds=30) as reader:
        make_retailer()
        assert list(reader.rows()) == [(1,)]
    with (
        pytest.raises(ReportTooLong),
        snapshot(Unwatched(), "SELECT pg_sleep(9)::text", {}, seconds=1) as reader,
    ):
        list(reader.rows())


def test_a_snapshot_writes_nothing():
    with (
        pytest.raises(Exception, match="read-only"),
        snapshot(Unwatched(), "SELECT 1", {}, seconds=5) as reader,
    ):
        reader.connection.execute("DELETE FROM report_files")


@pytest.mark.parametrize("write", [csv_file.write, json_file.write, xlsx_file.write])
def test_memory_is_flat_however_many_rows(write):
    peaks = []
    for count in (5_000, 40_000):
        with (
            tempfile.TemporaryFile() as file,
            snapshot(Unwatched(), MANY.format(count), {}, seconds=60) as reader,
        ):
            tracemalloc.start()
            assert write(PLAIN, reader, file) == count
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1_000_000, peaks


def test_progress_is_shown_on_report_and_job():
    watch = Unwatched()
    with snapshot(watch, MANY.format(2000), {}, seconds=30) as reader:
        seen = [watch.percent for _ in reader.rows()]
    assert seen == sorted(seen)
    assert (seen[0], seen[-1] > 50) == (reading.READING, True)


def test_scratch_of_a_killed_worker_is_removed_after_an_hour():
    stale, fresh = (Path(tempfile.mkdtemp(prefix=xlsx_file.SCRATCH)) for _ in range(2))
    long_ago = time.time() - 2 * xlsx_file.STALE
    os.utime(stale, (long_ago, long_ago))
    work(ask("CREDIT_SUMMARY", "xlsx"))
    assert (stale.exists(), fresh.exists()) == (False, True)
    fresh.rmdir()
    assert not list(Path(tempfile.gettempdir()).glob(f"{xlsx_file.SCRATCH}*"))


# Whose job ended without a word


@pytest.mark.parametrize(
    ("job", "state"),
    [("dead", "failed"), ("cancelled", "cancelled"), ("done", "failed"), (None, "failed")],
)
def test_a_report_whose_job_is_over_is_closed(job, state):
    report, other = ask("CREDIT_SUMMARY", "csv"), ask("CREDIT_SUMMARY", "pdf")
    found = Job.objects.filter(pk=report.job_id)
    found.update(state=job) if job else found.delete()
    assert services.close_abandoned() == 1
    report.refresh_from_db()
    other.refresh_from_db()
    assert (report.state, other.state) == (state, "queued")
    assert bool(report.error) is (state == "failed")
    assert services.close_abandoned() == 0


# Taken out, and forgotten


def test_taking_out_is_on_record_and_only_for_whom_it_concerns():
    asker, colleague = make_employee("Credit"), make_employee("Operations")
    report = ask("CREDIT_SUMMARY", "csv", actor=actor_of(asker))
    with pytest.raises(ReportNotReady):
        services.take_out(report_id=report.pk, actor=actor_of(asker))
    work(report)
    for user in (asker, colleague):
        assert services.take_out(report_id=report.pk, actor=actor_of(user)).pk == report.pk
    for stranger in (make_employee("Support"), make_employee("Catalogue")):
        with pytest.raises(Forbidden):
            services.take_out(report_id=report.pk, actor=actor_of(stranger))
    with pytest.raises(Forbidden):
        services.take_out(report_id=report.pk, actor=make_actor())
    taken = AuditLog.objects.filter(action="report.downloaded").values_list("user", flat=True)
    assert sorted(taken) == sorted([asker.pk, colleague.pk])


def test_an_expired_file_is_gone_at_once_its_report_after_a_year():
    report, kept = work(ask("CREDIT_SUMMARY", "csv")), work(ask("CREDIT_SUMMARY", "json"))
    Report.objects.filter(pk=report.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    with pytest.raises(ReportExpired):
        services.take_out(report_id=report.pk, actor=SYSTEM)
    assert services.forget_expired() == 1
    assert (chunks(report), chunks(kept)) == (0, 1)
    assert services.forget_expired() == 0
    Report.objects.filter(pk=report.pk).update(created_at=timezone.now() - timedelta(days=366))
    assert services.forget_expired() == 1
    assert list(Report.objects.all()) == [kept]


# By the month


def test_the_month_brings_four_reports_and_a_statement_of_each_shop_with_entries():
    busy, _ = make_retailer(), make_retailer()
    advance(make_order(busy, make_offer(price=100)), "DELIVERED")
    next_month = (timezone.localdate().replace(day=1) + timedelta(days=32)).replace(day=1)
    assert services.make_monthly(today=next_month) == 5
    period = {
        "from": timezone.localdate().replace(day=1).isoformat(),
        "to": (next_month - timedelta(days=1)).isoformat(),
    }
    made = {report.kind: report for report in Report.objects.all()}
    assert {kind: (r.format, r.filters) for kind, r in made.items()} == {
        "OUTSTANDING_LIABILITY": ("xlsx", {}),
        "PURCHASE_VOLUME": ("xlsx", {"group_by": "retailer", **period}),
        "PAYMENT_DISCIPLINE": ("xlsx", period),
        "CREDIT_SUMMARY": ("xlsx", {"group_by": "retailer"}),
        "STATEMENT": ("pdf", {"retailer_id": busy.pk, **period}),
    }
    assert made["STATEMENT"].retailer == busy
    assert services.make_monthly(today=next_month) == 0
    assert Job.objects.filter(kind="reports.make", priority=0).count() == 5
    assert {work(report).state for report in made.values()} == {"done"}


def test_a_month_without_entries_has_no_statements():
    advance(make_order(make_retailer(), make_offer()), "DELIVERED")
    assert services.make_monthly(today=date(2025, 3, 1)) == 4
    assert Report.objects.get(kind="PURCHASE_VOLUME").filters["to"] == "2025-02-28"


def test_it_is_scheduled():
    names = ("statements and monthly reports", "forget expired reports", "reports whose job died")
    for name in names:
        assert schedules.create(name)
    monthly, daily, often = (PeriodicTask.objects.get(name=name) for name in names)
    crontab = monthly.crontab
    assert (crontab.day_of_month, crontab.hour, crontab.minute) == ("1", "5", "0")
    assert (daily.crontab.day_of_month, daily.crontab.hour, daily.crontab.minute) == (
        "*",
        "4",
        "15",
    )
    assert (often.interval.every, often.interval.period) == (60, "seconds")
