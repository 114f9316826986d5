"""Enums live beside the models, so that Meta conditions use the very values that the code writes."""

from django.db.models import TextChoices


class Role(TextChoices):
    ADMIN = "ADMIN"
    OPERATOR = "OPERATOR"
    VENDOR = "VENDOR"
    RETAILER = "RETAILER"


STAFF_ROLES = (Role.ADMIN, Role.OPERATOR)


class JobState(TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


OPEN_JOB_STATES = (JobState.QUEUED, JobState.RUNNING)


class Queue(TextChoices):
    WHATSAPP = "whatsapp", "WhatsApp"
    CREDIT_SCORE = "credit_score"
    ORDER_ROUTING = "order_routing"
    PAYMENT_REMINDERS = "payment_reminders"
    REPORTS = "reports"
    ORDER_PROCESSING = "order_processing"


class Severity(TextChoices):
    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
