"""Holding readings against thresholds: every minute by the clock, and by `manage.py check_alerts`."""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.db.models.functions import Now
from django.utils import timezone

from khaacho import audit, sql
from khaacho.actors import Actor, act, require_staff
from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from khaacho.exceptions import Invalid, NotFound
from monitoring.alerting import measures
from monitoring.alerting.measures import MOST, Reading, Sight
from monitoring.alerting.models import ERROR_MAX, AlertRule
from monitoring.database.access import Unavailable
from monitoring.enums import RuleMeasure

log = logging.getLogger(__name__)

RANK = {severity: rank for rank, severity in enumerate(Severity.values)}
COOL_DOWN_MAX = 10_080  # minutes: a week
# From when each measure is a warning, and from when it is critical, until staff set something else.
DEFAULTS: Mapping[RuleMeasure, tuple[float, float]] = {
    RuleMeasure.REQUESTS_FAILED: (1, 5),
    RuleMeasure.REQUEST_P95: (500, 2_000),
    RuleMeasure.JOBS_FAILED: (10, 50),
    RuleMeasure.QUEUE_WAITING: (1_000, 20_000),
    RuleMeasure.QUEUE_OLDEST: (300, 1_800),
    RuleMeasure.JOBS_DEAD: (1, 100),
    RuleMeasure.STATEMENT_SLOWER: (2, 10),
    RuleMeasure.REPLICATION_LAG: (30, 300),
    RuleMeasure.DISK_USED: (85, 95),
    RuleMeasure.IDS_USED: (40, 75),
    RuleMeasure.CONNECTIONS_USED: (80, 95),
    RuleMeasure.BLOCKED: (30, 300),
    RuleMeasure.BACKUP_AGE: (26, 50),
    RuleMeasure.DRILL_AGE: (9, 16),
}
# Two weeks of samples are added up for it, four million rows where a thousand statements are busy.
SELDOM = {RuleMeasure.STATEMENT_SLOWER: timedelta(hours=1)}
ADD = """
INSERT INTO alert_rules (measure, severity, threshold)
SELECT * FROM unnest(%s::text[], %s::text[], %s::float8[]) ON CONFLICT (measure, severity) DO NOTHING
"""


@dataclass(frozen=True)
class Finding:
    """What one measure said, and which of its rules it breaks: the gravest for each reading."""

    measure: RuleMeasure
    readings: Sequence[Reading]
    broken: Sequence[tuple[Reading, AlertRule]]
    error: str = ""


def code(measure: str) -> str:
    """Return the code of the alerts that a measure's rules raise."""
    return f"rule.{measure}"


def first_rules() -> list[AlertRule]:
    """Return the rules as they are before staff change any, not stored."""
    return [
        AlertRule(measure=measure, severity=severity, threshold=threshold)
        for measure, thresholds in DEFAULTS.items()
        for severity, threshold in zip(
            (Severity.WARNING, Severity.CRITICAL), thresholds, strict=True
        )
    ]


def add_missing() -> int:
    """Add the rules that the code knows and the table does not; return how many. What staff set stays."""
    first = first_rules()
    return sql.execute(
        ADD,
        [
            [str(rule.measure) for rule in first],
            [str(rule.severity) for rule in first],
            [float(rule.threshold) for rule in first],
        ],
    )


def look(*, due: bool = False) -> list[Finding]:
    """Read what the rules that are enabled watch, those that are not stored yet too; change nothing.

    With `due` it leaves out what is costly and was read within SELDOM.
    """
    stored = list(AlertRule.objects.order_by("measure"))
    known = {(rule.measure, rule.severity) for rule in stored}
    new = [rule for rule in first_rules() if (rule.measure, rule.severity) not in known]
    by_measure: dict[str, list[AlertRule]] = defaultdict(list)
    for rule in [*stored, *new]:
        if rule.is_enabled:
            by_measure[rule.measure].append(rule)
    sight = Sight()
    return [
        _look(RuleMeasure(measure), rules, sight)
        for measure, rules in by_measure.items()
        if not (due and all(_is_fresh(rule) for rule in rules))
    ]


def _is_fresh(rule: AlertRule) -> bool:
    age = SELDOM.get(RuleMeasure(rule.measure))
    return (
        age is not None and rule.checked_at is not None and timezone.now() - rule.checked_at < age
    )


def _look(measure: RuleMeasure, rules: list[AlertRule], sight: Sight) -> Finding:
    gravest_first = sorted(rules, key=lambda rule: -RANK[rule.severity])
    try:
        with transaction.atomic():  # what one measure could not read leaves the others
            readings = measures.read(measure, sight)
    except (Unavailable, DatabaseError, OSError) as error:
        log.warning("alerts.unread", extra={"measure": measure.value, "reason": str(error)})
        return Finding(measure, (), (), error=str(error)[:ERROR_MAX])
    broken = []
    for reading in readings[:MOST]:
        rule = next((rule for rule in gravest_first if reading.value >= rule.threshold), None)
        if rule:
            broken.append((reading, rule))
    return Finding(measure, readings, broken)


@transaction.atomic
def check() -> list[Finding]:
    """Look, raise an alert for each reading that breaks a rule, and keep what was found with the rules.

    Rules that are missing are added first. An alert whose cause is gone stays open until a person
    resolves it; it is just not seen again.
    """
    add_missing()
    found = look(due=True)
    for finding in found:
        worst = finding.readings[0].value if finding.readings else None
        AlertRule.objects.filter(measure=finding.measure, is_enabled=True).update(
            checked_at=Now(), last_value=worst, last_error=finding.error
        )
        for reading, rule in finding.broken:
            raise_alert(
                code(finding.measure),
                f"{finding.measure.label}: {reading.says}",
                severity=Severity(rule.severity),
                entity_type=reading.entity_type,
                entity_id=reading.entity_id,
                value=round(reading.value, 3),
                threshold=rule.threshold,
            )
    return found


@transaction.atomic
def change(
    *,
    rule_id: int,
    threshold: float,
    cool_down_minutes: int,
    is_enabled: bool,
    reason: str,
    actor: Actor,
) -> None:
    """Set from when a rule raises an alert, and after how many minutes it is told again.

    Raises NotFound; Invalid for a threshold below 0, and for a cool-down of less than a minute or over a week.
    """
    act(actor, reason)
    require_staff(actor)
    rule = AlertRule.objects.select_for_update(no_key=True).filter(pk=rule_id).first()
    if rule is None:
        raise NotFound
    errors = {}
    if not 0 <= threshold < float("inf"):
        errors["threshold"] = ["Use a number of 0 or more."]
    if not 1 <= cool_down_minutes <= COOL_DOWN_MAX:
        errors["cool_down_minutes"] = [f"Use 1 to {COOL_DOWN_MAX} minutes."]
    if errors:
        raise Invalid("The rule cannot be so.", errors=errors)
    fields = {
        "threshold": threshold,
        "cool_down_minutes": cool_down_minutes,
        "is_enabled": is_enabled,
    }
    old = {name: getattr(rule, name) for name in fields}
    AlertRule.objects.filter(pk=rule_id).update(
        **fields,
        changed_by_id=actor.user_id,
        changed_at=Now(),
        checked_at=None,  # as it is now it was not: the next check reads also what is read seldom
    )
    audit.record(
        actor,
        "alert_rule.changed",
        entity_type="alert_rule",
        entity_id=rule_id,
        reason=reason,
        old=old,
        new=fields,
    )
