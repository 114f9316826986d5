"""Telling people of alerts: which are due, and sending them.

A notice is a row and a job, written together, so that none is lost; it is sent by the job, so that a mail
server that is away delays nothing else. Sent at least once: a worker that is killed between the answer and
its commit sends again, with the notice's id, by which a receiver knows it.
"""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction

from khaacho import jobs, sql
from khaacho.enums import Severity
from khaacho.models import Alert
from khaacho.purging import Part
from monitoring.alerting import channels
from monitoring.alerting.models import ERROR_MAX, AlertNotice
from monitoring.enums import Channel, NoticeState

SEND = "monitoring.send_notice"
AT_ONCE = 50  # notices of one pass; the gravest go first, the others a minute later
LOCK = 0x6B68616C
KEPT = timedelta(days=90)  # as long as a job that gave up; every cool-down is shorter

# The cool-down of an alert that no rule raised is the setting's. It ends early when the alert got worse.
# What was not seen again since it was told, is not told again.
DUE = """
INSERT INTO alert_notices (alert_id, subject, channel, severity, occurrences)
SELECT a.id, s.subject, c.channel, a.severity, a.occurrences
FROM alerts a
CROSS JOIN unnest(%(channels)s::text[]) AS c (channel)
CROSS JOIN LATERAL (
    SELECT concat_ws(':', a.code, a.entity_type, a.entity_id) AS subject,
        array_position(%(ranks)s::text[], a.severity::text) AS rank
) AS s
LEFT JOIN LATERAL (
    SELECT make_interval(mins => min(cool_down_minutes)) AS cool_down FROM alert_rules r
    WHERE 'rule.' || r.measure = a.code AND r.severity = a.severity
) AS r ON true
WHERE a.resolved_at IS NULL AND a.acknowledged_at IS NULL
    AND s.rank >= array_position(%(ranks)s::text[], %(least)s::text)
    AND NOT EXISTS (
        SELECT FROM alert_notices n
        WHERE n.subject = s.subject AND n.channel = c.channel
            AND array_position(%(ranks)s::text[], n.severity::text) >= s.rank
            AND n.created_at > least(
                statement_timestamp() - coalesce(r.cool_down, %(cool_down)s::interval),
                a.last_seen_at - interval '1 microsecond'
            )
    )
ORDER BY s.rank DESC, a.id
LIMIT %(limit)s
RETURNING id, alert_id
"""


def queue_due() -> int:
    """Queue a notice for each alert and channel for which one is due; return how many.

    Two passes at once queue nothing twice: the second waits.
    """
    to = channels.configured()
    if not to:
        return 0
    with transaction.atomic():
        sql.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
        made = sql.fetch(
            DUE,
            {
                "channels": [channel.value for channel in to],
                "ranks": Severity.values,
                "least": settings.ALERT_LEAST_SEVERITY,
                "cool_down": timedelta(minutes=settings.ALERT_COOL_DOWN_MINUTES),
                "limit": AT_ONCE,
            },
        )
        jobs.insert([jobs.NewJob(SEND, {"notice_id": row[0]}, f"alert:{row[1]}") for row in made])
    return len(made)


def send(notice_id: int) -> None:
    """Send a notice that is queued. Raises what hinders it, which its row keeps: the job tries again."""
    notice = AlertNotice.objects.select_related("alert").filter(pk=notice_id).first()
    if notice is None or notice.state != NoticeState.QUEUED:
        return
    if notice.alert.acknowledged_at or notice.alert.resolved_at:
        _keep(notice, state=NoticeState.DROPPED)
        return
    try:
        channels.send(Channel(notice.channel), message(notice, notice.alert))
    except channels.NotSent as error:
        _keep(notice, error=str(error)[:ERROR_MAX])
        raise
    row = sql.fetch_one("SELECT statement_timestamp()")
    assert row is not None
    _keep(notice, state=NoticeState.SENT, error="", sent_at=row[0])


def _keep(notice: AlertNotice, **fields: Any) -> None:
    AlertNotice.objects.filter(pk=notice.pk, state=NoticeState.QUEUED).update(**fields)


def expired() -> Part:
    """Return the notices that are kept no longer, sent or not, in the order of their key, which is time's."""
    return Part(
        name="alert notices",
        table="alert_notices",
        condition="created_at < statement_timestamp() - %(kept)s",
        order="id",
        params={"kept": KEPT},
    )


def message(notice: AlertNotice, alert: Alert) -> channels.Message:
    """Return what is said of an alert: its facts, never who or what else is in the database."""
    return channels.Message(
        notice_id=notice.pk,
        alert_id=alert.pk,
        code=alert.code,
        severity=alert.severity,
        message=alert.message,
        entity_type=alert.entity_type,
        entity_id=alert.entity_id,
        occurrences=alert.occurrences,
        created_at=alert.created_at,
        last_seen_at=alert.last_seen_at,
        environment=settings.ENVIRONMENT_NAME,
    )
