"""People away from the admin hear of an alert once in its cool-down, by each channel, with what they need."""

import json
import threading
from collections.abc import Iterator
from datetime import timedelta
from smtplib import SMTPException

import pytest
from django.db import IntegrityError, connections, transaction
from django.db.models import F
from django.db.models.functions import Now

from khaacho import alert_desk, purging
from khaacho.actors import SYSTEM
from khaacho.alerts import raise_alert
from khaacho.enums import Severity
from khaacho.models import Alert, Job
from khaacho.signatures import sign
from monitoring.alerting import channels, notices, rules
from monitoring.enums import Channel, NoticeState
from monitoring.models import AlertNotice, AlertRule
from tests.monitoring.alerting.receivers import Hook, Postbox, mail_server, webhook

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _rules(db) -> None:
    rules.add_missing()


@pytest.fixture
def hook(settings) -> Iterator[Hook]:
    with webhook() as found:
        settings.ALERT_WEBHOOK_URL = found.url
        settings.ALERT_WEBHOOK_SECRET = "a secret of two"
        yield found


@pytest.fixture
def postbox(settings) -> Iterator[Postbox]:
    with mail_server() as found:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.ALERT_EMAIL_TO = ["owner@example.org", "dba@example.org"]
        yield found


def ring(code: str = "rule.jobs_dead", severity: Severity = Severity.WARNING, **about) -> Alert:
    raise_alert(code, "Dead jobs: Reports: 2 jobs are dead", severity=severity, **about)
    return Alert.objects.get(code=code, resolved_at=None, entity_id=about.get("entity_id", 0))


def later(minutes: float) -> None:
    """Let time pass for what was told, and for when alerts were seen."""
    ago = timedelta(minutes=minutes)
    AlertNotice.objects.update(created_at=F("created_at") - ago)
    Alert.objects.update(last_seen_at=F("last_seen_at") - ago)


def sent() -> int:
    """Queue what is due, and send it; return how many were queued."""
    queued = notices.queue_due()
    for notice in AlertNotice.objects.filter(state=NoticeState.QUEUED):
        notices.send(notice.pk)
    return queued


def test_without_an_address_nobody_is_told():
    ring()
    assert channels.configured() == []
    assert notices.queue_due() == 0
    assert not AlertNotice.objects.exists()


def test_the_webhook_has_what_a_receiver_needs_and_is_signed(hook, settings):
    settings.ENVIRONMENT_NAME = "staging"
    alert = ring(entity_type="queue", entity_id=5)
    assert sent() == 1
    [body] = hook.bodies
    notice = AlertNotice.objects.get()
    said = json.loads(body)
    assert said.pop("created_at")
    assert said.pop("last_seen_at")
    assert said == {
        "notice_id": notice.pk,
        "alert_id": alert.pk,
        "code": "rule.jobs_dead",
        "severity": "warning",
        "message": "Dead jobs: Reports: 2 jobs are dead",
        "entity_type": "queue",
        "entity_id": 5,
        "occurrences": 1,
        "environment": "staging",
    }
    [headers] = hook.headers
    assert headers["X-Khaacho-Signature"] == sign(body, "a secret of two")
    assert headers["X-Khaacho-Notice"] == str(notice.pk)
    assert (notice.state, notice.error) == (NoticeState.SENT, "")


def test_a_mail_goes_to_each_address(postbox, settings):
    settings.ENVIRONMENT_NAME = "staging"
    alert = ring()
    assert sent() == 1
    [mail] = postbox.mails
    assert postbox.recipients == ["owner@example.org", "dba@example.org"]
    assert mail["Subject"] == "[staging] WARNING: Dead jobs: Reports: 2 jobs are dead"
    assert f"Alerts, number {alert.pk}" in mail.get_content()
    assert "seen 1 times" in mail.get_content()


def test_a_line_break_in_a_message_makes_no_header(postbox):
    raise_alert("x", "first\r\nBcc: thief@example.org")
    assert sent() == 1
    [mail] = postbox.mails
    assert mail["Subject"] == "WARNING: first Bcc: thief@example.org"
    assert mail["Bcc"] is None
    assert postbox.recipients == ["owner@example.org", "dba@example.org"]


def test_each_channel_is_told(hook, postbox):
    ring()
    assert sent() == 2
    assert (len(hook.bodies), len(postbox.mails)) == (1, 1)


def test_it_is_told_again_after_its_cool_down_while_it_goes_on(hook):
    AlertRule.objects.filter(measure="jobs_dead", severity="warning").update(cool_down_minutes=30)
    ring()
    assert sent() == 1
    later(29)
    ring()
    assert sent() == 0
    later(2)
    ring()
    assert sent() == 1
    assert json.loads(hook.bodies[1])["occurrences"] == 3


def test_what_is_not_seen_again_is_not_told_again(hook):
    ring()
    assert sent() == 1
    later(10_000)
    assert sent() == 0


def test_an_alert_without_a_rule_has_the_settings_cool_down(hook, settings):
    settings.ALERT_COOL_DOWN_MINUTES = 10
    ring("invariant.stock")
    assert sent() == 1
    later(9)
    ring("invariant.stock")
    assert sent() == 0
    later(2)
    ring("invariant.stock")
    assert sent() == 1


def test_what_got_worse_is_told_at_once(hook):
    ring()
    assert sent() == 1
    ring(severity=Severity.CRITICAL)
    assert sent() == 1
    assert json.loads(hook.bodies[1])["severity"] == "critical"
    ring()
    assert sent() == 0


def test_resolved_and_open_again_within_the_cool_down_it_is_not_told_twice(hook):
    alert = ring()
    assert sent() == 1
    alert_desk.resolve(alert_id=alert.pk, reason="done", actor=SYSTEM)
    assert ring().pk != alert.pk
    assert sent() == 0
    later(61)
    ring()
    assert sent() == 1


def test_alerts_about_different_things_are_told_each(hook):
    ring(entity_type="queue", entity_id=1)
    ring(entity_type="queue", entity_id=2)
    assert sent() == 2


def test_what_somebody_has_seen_is_not_told(hook):
    alert = ring()
    alert_desk.acknowledge(alert_id=alert.pk, actor=SYSTEM)
    assert sent() == 0
    other = ring("x")
    notices.queue_due()
    alert_desk.resolve(alert_id=other.pk, reason="done", actor=SYSTEM)
    notices.send(AlertNotice.objects.get().pk)
    assert AlertNotice.objects.get().state == NoticeState.DROPPED
    assert hook.bodies == []


def test_what_is_less_grave_than_the_setting_is_not_told(hook, settings):
    settings.ALERT_LEAST_SEVERITY = "critical"
    ring()
    assert sent() == 0
    ring(severity=Severity.CRITICAL)
    assert sent() == 1


def test_a_flood_is_told_in_portions_the_gravest_first(hook):
    for number in range(notices.AT_ONCE + 5):
        raise_alert("flood", "x", entity_type="order", entity_id=number + 1)
    raise_alert("fire", "x", severity=Severity.CRITICAL)
    assert notices.queue_due() == notices.AT_ONCE
    assert AlertNotice.objects.filter(severity="critical").count() == 1
    assert notices.queue_due() == 6
    assert notices.queue_due() == 0


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_success_keeps_it_queued_with_the_reason(hook, status):
    hook.status = status
    ring()
    notices.queue_due()
    notice = AlertNotice.objects.get()
    with pytest.raises(channels.NotSent):
        notices.send(notice.pk)
    notice.refresh_from_db()
    assert (notice.state, notice.error) == ("queued", f"The webhook answered {status}.")
    hook.status = 204
    notices.send(notice.pk)
    notice.refresh_from_db()
    assert (notice.state, notice.error, len(hook.bodies)) == ("sent", "", 2)
    notices.send(notice.pk)
    assert len(hook.bodies) == 2


@pytest.mark.django_db(transaction=True)
def test_who_fails_to_send_what_another_has_sent_says_nothing_of_it(hook):
    """A worker whose lease ran out goes on for a while beside the next."""
    ring()
    notices.queue_due()
    notice = AlertNotice.objects.get()

    def another_sends() -> None:
        AlertNotice.objects.update(state=NoticeState.SENT, sent_at=notice.created_at)
        connections.close_all()

    hook.status, hook.meanwhile = 500, another_sends
    with pytest.raises(channels.NotSent):
        notices.send(notice.pk)
    notice.refresh_from_db()
    assert (notice.state, notice.error) == ("sent", "")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "http://[/", "gopher://127.0.0.1/", "not an address"]
)
def test_an_address_that_nobody_answers_is_said_without_its_secrets(settings, url):
    settings.ALERT_WEBHOOK_URL = url
    ring()
    notices.queue_due()
    with pytest.raises(channels.NotSent, match=r"^The webhook did not answer: \w+\.$"):
        notices.send(AlertNotice.objects.get().pk)


def test_a_mail_server_that_refuses_is_said(postbox):
    postbox.refuses = True
    ring()
    notices.queue_due()
    with pytest.raises(channels.NotSent, match="SMTPRecipientsRefused") as caught:
        notices.send(AlertNotice.objects.get().pk)
    assert isinstance(caught.value.__cause__, SMTPException)


@pytest.mark.parametrize("fields", [{"channel": "pigeon"}, {"state": "sent"}, {"state": "lost"}])
def test_the_table_refuses_a_notice_that_makes_no_sense(hook, fields):
    ring()
    notices.queue_due()
    with pytest.raises(IntegrityError), transaction.atomic():
        AlertNotice.objects.update(**fields)


def test_each_notice_has_its_job_in_the_same_transaction(hook):
    alert = ring()
    notices.queue_due()
    job = Job.objects.get(kind=notices.SEND)
    assert job.args == {"notice_id": AlertNotice.objects.get().pk}
    assert job.reference == f"alert:{alert.pk}"


def test_a_notice_is_purged_after_ninety_days_and_its_alert_is_not(hook, postbox):
    ring()
    assert sent() == 2
    AlertNotice.objects.filter(channel="webhook").update(created_at=Now() - timedelta(days=90.1))
    AlertNotice.objects.filter(channel="email").update(created_at=Now() - timedelta(days=89.9))
    gone = {part.name: deleted for part, deleted, _ in purging.run()}
    assert gone["alert notices"] == 1
    assert AlertNotice.objects.get().channel == "email"
    assert Alert.objects.exists()


@pytest.mark.django_db(transaction=True, databases=["default", "monitor"])
def test_two_passes_at_once_queue_nothing_twice(hook):
    for number in range(20):
        raise_alert("flood", "x", entity_type="order", entity_id=number + 1)
    start = threading.Barrier(4)
    made: list[int] = []

    def run() -> None:
        start.wait()
        made.append(notices.queue_due())
        connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == [0, 0, 0, 20]
    assert AlertNotice.objects.count() == 20


@pytest.mark.django_db(databases=["default", "monitor"])
def test_what_a_rule_raises_reaches_the_webhook(hook, settings):
    settings.WATCHED_DISKS = []
    AlertRule.objects.exclude(measure="connections_used").update(is_enabled=False)
    AlertRule.objects.filter(measure="connections_used").update(threshold=0)
    rules.check()
    assert sent() == 1
    assert json.loads(hook.bodies[0])["code"] == "rule.connections_used"
    assert Channel.WEBHOOK in channels.configured()
