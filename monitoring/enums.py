"""Reports: what they are about, their form, and how far they are. Advice: what became of it. Alerts: what is
measured, and who is told.
"""

from django.db.models import TextChoices
from django.utils.translation import gettext_lazy as _


class ReportKind(TextChoices):
    CREDIT_SUMMARY = "CREDIT_SUMMARY"
    PURCHASE_VOLUME = "PURCHASE_VOLUME"
    PAYMENT_DISCIPLINE = "PAYMENT_DISCIPLINE"
    OUTSTANDING_LIABILITY = "OUTSTANDING_LIABILITY"
    STATEMENT = "STATEMENT"


class ReportFormat(TextChoices):
    JSON = "json", "JSON"
    CSV = "csv", "CSV"
    XLSX = "xlsx", "XLSX"
    PDF = "pdf", "PDF"


class ReportState(TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_REPORT_STATES = (ReportState.QUEUED, ReportState.RUNNING)


class AdviceState(TextChoices):
    OPEN = "open"
    DISMISSED = "dismissed"
    CREATED = "created"


class RuleMeasure(TextChoices):
    """What a rule watches; the unit is part of the name that people read."""

    REQUESTS_FAILED = "requests_failed", _("Requests that failed, %")
    REQUEST_P95 = "request_p95", _("95 % of requests within, ms")
    JOBS_FAILED = "jobs_failed", _("Jobs that failed in the last hour, %")
    QUEUE_WAITING = "queue_waiting", _("Jobs that wait")
    QUEUE_OLDEST = "queue_oldest", _("Oldest waiting job, s")
    JOBS_DEAD = "jobs_dead", _("Dead jobs")
    STATEMENT_SLOWER = "statement_slower", _("Statement slower since the release, times")
    REPLICATION_LAG = "replication_lag", _("Replica behind, s")
    DISK_USED = "disk_used", _("Disk used, %")
    IDS_USED = "ids_used", _("Transaction ids used, %")
    CONNECTIONS_USED = "connections_used", _("Connections used, %")
    BLOCKED = "blocked", _("Session waits for a lock, s")
    BACKUP_AGE = "backup_age", _("Age of the last backup, h")
    DRILL_AGE = "drill_age", _("Age of the last restore drill, days")


class Channel(TextChoices):
    WEBHOOK = "webhook", _("Webhook")
    EMAIL = "email", _("E-mail")


class NoticeState(TextChoices):
    """Dropped: a person had acknowledged or resolved the alert before it was sent."""

    QUEUED = "queued", _("Queued")
    SENT = "sent", _("Sent")
    DROPPED = "dropped", _("Dropped")
