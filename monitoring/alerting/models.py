"""Rules with their thresholds, and what was sent about alerts."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from khaacho.enums import Severity
from khaacho.models import Alert, User
from monitoring.enums import Channel, NoticeState, RuleMeasure

ERROR_MAX = 500


class AlertRule(models.Model):
    """From which value on a measure is an alert of which severity; people set threshold and cool-down.

    `threshold` and `last_value` have the measure's unit. What a rule found last is written by each check:
    `last_value` is the worst reading, NULL where there was none; `last_error` why it could not be read.
    """

    measure = models.CharField(max_length=24, choices=RuleMeasure)
    severity = models.CharField(max_length=8, choices=Severity)
    threshold = models.FloatField(validators=[MinValueValidator(0)])
    cool_down_minutes = models.IntegerField(db_default=60, default=60)
    is_enabled = models.BooleanField(db_default=True, default=True)
    changed_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    changed_at = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField(null=True, blank=True)
    last_value = models.FloatField(null=True, blank=True)
    last_error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")

    class Meta:
        db_table = "alert_rules"
        constraints = [
            models.UniqueConstraint(fields=["measure", "severity"], name="alert_rule_once"),
            models.CheckConstraint(
                condition=Q(measure__in=RuleMeasure.values), name="alert_rule_measure_known"
            ),
            models.CheckConstraint(condition=Q(threshold__gte=0), name="alert_rule_threshold"),
            models.CheckConstraint(
                condition=Q(cool_down_minutes__range=(1, 10080)), name="alert_rule_cool_down"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_measure_display()}: {self.get_severity_display()}"


class AlertNotice(models.Model):
    """One message about an alert by one channel; `severity` and `occurrences` are the alert's as told.

    `subject` is what the alert is about, `code:entity_type:entity_id`: the cool-down is the subject's, so
    that an alert which was resolved and is open again tomorrow morning wakes nobody twice.
    """

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="notices")
    subject = models.CharField(max_length=130)
    channel = models.CharField(max_length=8, choices=Channel)
    severity = models.CharField(max_length=8, choices=Severity)
    occurrences = models.IntegerField()
    state = models.CharField(
        max_length=8, choices=NoticeState, db_default=NoticeState.QUEUED, default=NoticeState.QUEUED
    )
    error = models.CharField(max_length=ERROR_MAX, blank=True, db_default="", default="")
    created_at = models.DateTimeField(db_default=Now())
    sent_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        db_table = "alert_notices"
        constraints = [
            models.CheckConstraint(
                condition=Q(channel__in=Channel.values), name="alert_notice_channel_known"
            ),
            models.CheckConstraint(
                condition=Q(state=NoticeState.SENT, sent_at__isnull=False)
                | Q(state__in=[NoticeState.QUEUED, NoticeState.DROPPED], sent_at__isnull=True),
                name="alert_notice_sent_has_time",
            ),
        ]
        indexes = [
            # whether it was told of within its cool-down
            models.Index(
                fields=["subject", "channel", "-created_at"], name="alert_notice_subject_idx"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.get_channel_display()} {self.pk}"
