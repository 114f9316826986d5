"""What the top layer keeps of its own: reports, whose files are chunks in `report_files` (docs/reports.md), and counts of jobs."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from credit.models import Retailer
from khaacho.enums import Queue
from khaacho.models import User
from monitoring.alerting.models import AlertNotice, AlertRule
from monitoring.backups.models import Backup
from monitoring.enums import OPEN_REPORT_STATES, AdviceState, ReportFormat, ReportKind, ReportState
from monitoring.history.models import ReleaseMarker
from monitoring.maintenance.runs import MaintenanceRun
from monitoring.sources.models import OriginSpan, StatementForm, StatementPlace, StatementSpan
from monitoring.view_models import IndexUsage, MissingIndex, SlowQuery, TableBloat

__all__ = [
    "AlertNotice",
    "AlertRule",
    "Backup",
    "IndexUsage",
    "JobMinute",
    "MaintenanceRun",
    "MissingIndex",
    "OriginSpan",
    "ReleaseMarker",
    "Report",
    "SlowQuery",
    "StatementForm",
    "StatementPlace",
    "StatementSpan",
    "TableBloat",
]

ERROR_MAX = 2000


class Report(models.Model):
    """One report as it was asked for, and its file while that is kept.

    `requested_by` is NULL for those of the month. `retailer` is whose statement it is. `job_id` is no
    foreign key: done jobs are forgotten after a week. `size` counts bytes, `sha256` is of the file.
    """

    kind = models.CharField(max_length=21, choices=ReportKind)
    format = models.CharField(max_length=4, choices=ReportFormat)
    filters = models.JSONField(default=dict)
    retailer = models.ForeignKey(
        Retailer, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    requested_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    state = models.CharField(
        max_length=9,
        choices=ReportState,
        db_default=ReportState.QUEUED,
        default=ReportState.QUEUED,
    )
    progress = models.SmallIntegerField(db_default=0, default=0)
    row_count = models.IntegerField(null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    file_name = models.CharField(max_length=120, blank=True, db_default="", default="")
    sha256 = models.CharField(max_length=64, blank=True, db_default="", default="")
    error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")
    job_id = models.BigIntegerField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "reports"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=ReportKind.values), name="report_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(format__in=ReportFormat.values), name="report_format_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=ReportState.values), name="report_state_known"
            ),
            models.CheckConstraint(condition=Q(progress__range=(0, 100)), name="report_progress"),
            models.CheckConstraint(
                condition=(Q(kind=ReportKind.STATEMENT) & Q(retailer__isnull=False))
                | (~Q(kind=ReportKind.STATEMENT) & Q(retailer__isnull=True)),
                name="report_statement_has_retailer",
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN_REPORT_STATES) | Q(finished_at__isnull=False),
                name="report_end_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(state=ReportState.DONE)
                | (
                    Q(
                        row_count__isnull=False,
                        size__isnull=False,
                        expires_at__isnull=False,
                        progress=100,
                    )
                    & ~Q(sha256="")
                    & ~Q(file_name="")
                ),
                name="report_done_has_file",
            ),
            models.CheckConstraint(
                condition=~Q(state=ReportState.FAILED) | ~Q(error=""), name="report_failed_says_why"
            ),
            # asking twice for what is being made gives the same report; its index also finds those
            # whose job ended without a word
            models.UniqueConstraint(
                fields=["requested_by", "kind", "format", "filters"],
                condition=Q(state__in=OPEN_REPORT_STATES),
                nulls_distinct=False,
                name="report_open_once",
            ),
        ]
        indexes = [
            # staff list, API list
            models.Index(F("created_at").desc(), F("id").desc(), name="report_created_idx"),
            # own reports of who may not see all
            models.Index(fields=["requested_by", "-created_at", "-id"], name="report_asker_idx"),
            # a retailer's statements, on the retailer's page
            models.Index(
                fields=["retailer", "-id"],
                condition=Q(retailer__isnull=False),
                name="report_retailer_idx",
            ),
            # staff list filters
            models.Index(fields=["state", "-id"], name="report_state_idx"),
            models.Index(fields=["kind", "-id"], name="report_kind_idx"),
            # files to forget
            models.Index(
                fields=["expires_at"],
                condition=Q(state=ReportState.DONE),
                name="report_expires_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk}"


class JobMinute(models.Model):
    """The jobs of a queue that were done in one minute, counted once (monitoring/job_minutes.py).

    `waits` and `runs` say how many lasted how long, by bucket of monitoring/durations.py.
    `deduplicated` sums the requests that were folded into these jobs, `stalled` their expired leases.
    Jobs that finished before `counted_until` are in it; a minute without a job has no row.
    """

    queue = models.CharField(max_length=20, choices=Queue)
    minute = models.DateTimeField()
    counted_until = models.DateTimeField()
    done = models.IntegerField()
    deduplicated = models.IntegerField()
    stalled = models.IntegerField()
    waits = models.JSONField()
    runs = models.JSONField()

    class Meta:
        db_table = "job_minutes"
        constraints = [
            # the figures of a day and the curve of three hours, without the rows; the purge
            models.UniqueConstraint(
                fields=["minute", "queue"],
                include=["done", "deduplicated", "stalled"],
                name="job_minute_once",
            ),
            models.CheckConstraint(condition=models.Q(done__gt=0), name="job_minute_not_empty"),
        ]

    def __str__(self) -> str:
        return f"{self.queue} {self.minute:%Y-%m-%d %H:%M}"


class IndexAdvice(models.Model):
    """An index that would help, as the advisor found it last (docs/monitoring-advice.md).

    Verified: the planner used it when it was supposed to be there; else only a hint. `shape` is the
    index as monitoring/advice/keeping.py reads it; `definition` its SQL behind the table's name, and with
    it the advice's identity. `helped` are statements with their costs before and after and what they
    took when advised; `measured` their calls and total ms at the moment at which the index was first seen.
    Sizes are bytes, costs the planner's, times ms.
    """

    table = models.CharField(max_length=140)
    definition = models.TextField()
    shape = models.JSONField()
    is_verified = models.BooleanField()
    state = models.CharField(
        max_length=9, choices=AdviceState, db_default=AdviceState.OPEN, default=AdviceState.OPEN
    )
    reason = models.CharField(max_length=300, blank=True, db_default="", default="")
    size = models.BigIntegerField(null=True, blank=True)
    saved_ms = models.FloatField(null=True, blank=True)
    workload_ms = models.FloatField(null=True, blank=True)
    entries_written = models.BigIntegerField(null=True, blank=True)
    helped = models.JSONField(default=list)
    makes_redundant = models.JSONField(default=list)
    index_name = models.CharField(max_length=63, blank=True, db_default="", default="")
    measured = models.JSONField(default=dict)
    first_seen_at = models.DateTimeField(db_default=Now())
    last_seen_at = models.DateTimeField(db_default=Now())
    index_seen_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "index_advice"
        verbose_name_plural = "index advice"
        constraints = [
            models.UniqueConstraint(fields=["table", "definition"], name="index_advice_once"),
            models.CheckConstraint(
                condition=Q(state__in=AdviceState.values), name="index_advice_state_known"
            ),
            models.CheckConstraint(
                condition=~Q(state=AdviceState.CREATED)
                | (~Q(index_name="") & Q(index_seen_at__isnull=False)),
                name="index_advice_created_is_named",
            ),
        ]
        indexes = [
            # staff list filter
            models.Index(fields=["state", "-id"], name="index_advice_state_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.table} {self.definition}"


class AdviceRun(models.Model):
    """One search for missing indexes: how far it came. `skipped` says by queryid why one had no plan."""

    made_at = models.DateTimeField(db_default=Now())
    planned = models.IntegerField()
    candidates = models.IntegerField()
    found = models.IntegerField()
    seconds = models.FloatField()
    is_verified = models.BooleanField()
    is_complete = models.BooleanField()
    skipped = models.JSONField(default=dict)

    class Meta:
        db_table = "index_advice_runs"

    def __str__(self) -> str:
        return f"{self.made_at:%Y-%m-%d %H:%M}"
