"""Backups as staff see them. What counts lies in the directory: a row is what was known of it last."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from monitoring.backups.kinds import BackupState, DrillResult

ERROR_MAX = 2000


class Backup(models.Model):
    """One backup: made or failed, its file, whether it lies elsewhere too, and what its drill said.

    `size` and `sha256` are of the file, `database_size` bytes of the database then, `row_count` all rows of
    the snapshot. `drill_seconds` is how long the last drill took; `verified_at` when one passed. A row whose
    file was removed keeps `removed_at`.
    """

    name = models.CharField(max_length=40, unique=True)
    state = models.CharField(
        max_length=7,
        choices=BackupState,
        db_default=BackupState.RUNNING,
        default=BackupState.RUNNING,
    )
    started_at = models.DateTimeField(db_default=Now())
    finished_at = models.DateTimeField(null=True, blank=True)
    snapshot_at = models.DateTimeField(null=True, blank=True)
    size = models.BigIntegerField(null=True, blank=True)
    sha256 = models.CharField(max_length=64, blank=True, db_default="", default="")
    database_size = models.BigIntegerField(null=True, blank=True)
    row_count = models.BigIntegerField(null=True, blank=True)
    is_encrypted = models.BooleanField(db_default=False, default=False)
    host = models.CharField(max_length=255, blank=True, db_default="", default="")
    directory = models.CharField(max_length=500, blank=True, db_default="", default="")
    error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")
    uploaded_at = models.DateTimeField(null=True, blank=True)
    upload_error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")
    drill_result = models.CharField(
        max_length=6, choices=DrillResult, blank=True, db_default="", default=""
    )
    drilled_at = models.DateTimeField(null=True, blank=True)
    drill_seconds = models.FloatField(null=True, blank=True)
    drill_error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")
    verified_at = models.DateTimeField(null=True, blank=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "backups"
        constraints = [
            models.CheckConstraint(
                condition=Q(state__in=BackupState.values), name="backup_state_known"
            ),
            models.CheckConstraint(
                condition=Q(drill_result__in=DrillResult.values), name="backup_drill_known"
            ),
            models.CheckConstraint(
                condition=Q(state=BackupState.RUNNING) | Q(finished_at__isnull=False),
                name="backup_end_has_time",
            ),
            models.CheckConstraint(
                condition=~Q(state=BackupState.DONE) | (Q(size__isnull=False) & ~Q(sha256="")),
                name="backup_done_has_file",
            ),
            models.CheckConstraint(
                condition=~Q(state=BackupState.FAILED) | ~Q(error=""),
                name="backup_failed_says_why",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def seconds(self) -> float | None:
        """Return how long it took; None before it ended."""
        if self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()
