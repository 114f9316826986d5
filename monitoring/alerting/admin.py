"""Rules, whose thresholds staff set with a reason, and what was sent."""

from typing import Any

from django import forms
from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from khaacho.actors import Actor
from khaacho.adminsite import KhaachoModelAdmin, Verb, computed, sections
from khaacho.adminsite.columns import EMPTY
from khaacho.adminsite.forms import ReasonForm
from monitoring.alerting import rules
from monitoring.alerting.models import AlertNotice, AlertRule


class RuleForm(ReasonForm):
    threshold = forms.FloatField(min_value=0)
    cool_down_minutes = forms.IntegerField(
        min_value=1,
        max_value=rules.COOL_DOWN_MAX,
        help_text="Who was told is not told again before.",
    )
    is_enabled = forms.BooleanField(required=False, label="Enabled")
    field_order = ("threshold", "cool_down_minutes", "is_enabled", "reason")


@computed("now")
def _now(rule: AlertRule) -> SafeString | str:
    if not rule.is_enabled:
        return format_html('<span class="badge">{}</span>', _("off"))
    if rule.last_error:
        return format_html('<span class="badge warn">{}</span>', _("could not be read"))
    if rule.last_value is None:
        return EMPTY
    over = rule.last_value >= rule.threshold
    tone, word = ("bad", _("over")) if over else ("good", _("under"))
    return format_html('{} <span class="badge {}">{}</span>', f"{rule.last_value:.4g}", tone, word)


def _change(rule: AlertRule, fields: dict[str, Any], actor: Actor) -> None:
    rules.change(
        rule_id=rule.pk,
        threshold=fields["threshold"],
        cool_down_minutes=fields["cool_down_minutes"],
        is_enabled=fields["is_enabled"],
        reason=fields["reason"],
        actor=actor,
    )


@admin.register(AlertRule)
class AlertRuleAdmin(KhaachoModelAdmin):
    entity_type = "alert_rule"
    list_display = (
        "measure",
        "severity",
        "threshold",
        _now,
        "cool_down_minutes",
        "is_enabled",
        "checked_at",
    )
    ordering = ("measure",)
    sortable_by = ()
    fieldsets = sections(
        (None, ("measure", "severity", "threshold", "cool_down_minutes", "is_enabled")),
        ("Last check", (_now, "checked_at", "last_error")),
        ("Changed", ("changed_by", "changed_at")),
    )
    verbs = (
        Verb(
            name="change_rule",
            label="Change",
            permission="monitoring.change_rule",
            run=_change,
            effect="The next check, within a minute, holds what is measured against it."
            " Alerts that are open stay open.",
            done="Changed: {record}",
            form=RuleForm,
            initial=lambda rule: {
                "threshold": rule.threshold,
                "cool_down_minutes": rule.cool_down_minutes,
                "is_enabled": rule.is_enabled,
            },
        ),
    )


@admin.register(AlertNotice)
class AlertNoticeAdmin(KhaachoModelAdmin):
    list_display = ("created_at", "channel", "severity", "alert", "state", "sent_at", "error")
    list_select_related = ("alert",)
    ordering = ("-id",)
    sortable_by = ()
    fieldsets = sections(
        (None, ("alert", "channel", "severity", "occurrences", "state", "error")),
        ("Dates", ("created_at", "sent_at")),
    )
