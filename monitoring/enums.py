"""Reports: what they are about, their form, and how far they are. Advice: what became of it."""

from django.db.models import TextChoices


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
