"""The row that remembers one piece of maintenance."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from khaacho.models import User
from monitoring.maintenance.kinds import OPEN_STATES, MaintenanceKind, MaintenanceState

NAME_MAX = 63  # PostgreSQL's NAMEDATALEN - 1
ERROR_MAX = 2000
LOG_MAX = 20_000


class MaintenanceRun(models.Model):
    """One maintenance of one table or index of our schema: asked for, done, and how it ended.

    `pid` and `backend_start` name the session that works on it while it runs. `log` is what PostgreSQL
    said. `result` is what an exact measurement of bloat found. `job_id` is no foreign key: done jobs are
    forgotten after a week.
    """

    kind = models.CharField(max_length=14, choices=MaintenanceKind)
    target = models.CharField(max_length=NAME_MAX)
    state = models.CharField(
        max_length=9,
        choices=MaintenanceState,
        db_default=MaintenanceState.QUEUED,
        default=MaintenanceState.QUEUED,
    )
    requested_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    progress = models.SmallIntegerField(db_default=0, default=0)
    phase = models.CharField(max_length=60, blank=True, db_default="", default="")
    log = models.TextField(blank=True, db_default="", default="")
    error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")
    result = models.JSONField(null=True, blank=True)
    job_id = models.BigIntegerField(null=True, blank=True)
    pid = models.IntegerField(null=True, blank=True)
    backend_start = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "maintenance_runs"
        constraints = [
            models.CheckConstraint(
                condition=Q(kind__in=MaintenanceKind.values), name="maintenance_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(state__in=MaintenanceState.values), name="maintenance_state_known"
            ),
            models.CheckConstraint(
                condition=Q(progress__range=(0, 100)), name="maintenance_progress"
            ),
            models.CheckConstraint(
                condition=Q(state__in=OPEN_STATES) | Q(finished_at__isnull=False),
                name="maintenance_end_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(state=MaintenanceState.FAILED) | ~Q(error=""),
                name="maintenance_failed_says_why",
            ),
            # all kinds take the same lock on their table: two at once would only wait for each other
            models.UniqueConstraint(
                fields=["target"],
                condition=Q(state__in=OPEN_STATES),
                name="maintenance_open_once",
            ),
        ]
        indexes = [
            # the last exact measurement of each table
            models.Index(
                fields=["target", "-id"],
                condition=Q(kind=MaintenanceKind.EXACT_BLOAT, state=MaintenanceState.DONE),
                name="maintenance_bloat_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.target}"

    @property
    def seconds(self) -> float | None:
        """Return how long it took; None before it ended."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_STATES
