"""How an alert leaves the site: a signed POST to one address, and e-mail.

The webhook's body is JSON with the fields of Message; its header X-Khaacho-Signature is
`sha256=` and the HMAC-SHA-256 of the body under ALERT_WEBHOOK_SECRET, X-Khaacho-Notice the notice's id.
"""

import json
import smtplib
from dataclasses import asdict, dataclass
from datetime import datetime

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.serializers.json import DjangoJSONEncoder
from django.utils import timezone

from khaacho.exceptions import KhaachoError
from khaacho.signatures import sign
from monitoring.enums import Channel

SECONDS = 10.0  # for an answer, and for a mail server


class NotSent(KhaachoError):
    """The message did not go out; the text says why, without addresses or secrets."""

    code = "notice_not_sent"


@dataclass(frozen=True, kw_only=True)
class Message:
    """An alert as it is told; moments are aware."""

    notice_id: int
    alert_id: int
    code: str
    severity: str
    message: str
    entity_type: str
    entity_id: int
    occurrences: int
    created_at: datetime
    last_seen_at: datetime
    environment: str


def configured() -> list[Channel]:
    """Return the channels that have an address."""
    found = []
    if settings.ALERT_WEBHOOK_URL:
        found.append(Channel.WEBHOOK)
    if settings.ALERT_EMAIL_TO:
        found.append(Channel.EMAIL)
    return found


def send(channel: Channel, message: Message) -> None:
    """Send by a channel. Raises NotSent."""
    if channel not in configured():
        raise NotSent(f"The {channel.value} has no address any more.")
    if channel is Channel.WEBHOOK:
        _post(message)
    else:
        _mail(message)


def _post(message: Message) -> None:
    import httpx  # noqa: PLC0415 - a tenth of a second for each process, of which few send anything

    body = json.dumps(asdict(message), cls=DjangoJSONEncoder, ensure_ascii=False).encode()
    headers = {"Content-Type": "application/json", "X-Khaacho-Notice": str(message.notice_id)}
    if settings.ALERT_WEBHOOK_SECRET:
        headers["X-Khaacho-Signature"] = sign(body, settings.ALERT_WEBHOOK_SECRET)
    try:
        answer = httpx.post(
            settings.ALERT_WEBHOOK_URL, content=body, headers=headers, timeout=SECONDS
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotSent(f"The webhook did not answer: {type(error).__name__}.") from error
    if not answer.is_success:
        raise NotSent(f"The webhook answered {answer.status_code}.")


def _mail(message: Message) -> None:
    where = f"[{message.environment}] " if message.environment else ""
    line = " ".join(message.message.split())  # a header has one
    mail = EmailMessage(
        subject=f"{where}{message.severity.upper()}: {line}"[:200],
        body=_text(message),
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=settings.ALERT_EMAIL_TO,
        headers={"X-Khaacho-Notice": str(message.notice_id)},
    )
    try:
        mail.send()
    except (smtplib.SMTPException, OSError) as error:
        raise NotSent(f"The mail server did not take it: {type(error).__name__}.") from error


def _text(message: Message) -> str:
    about = f" about {message.entity_type} {message.entity_id}" if message.entity_type else ""
    seen = timezone.localtime(message.last_seen_at).isoformat(sep=" ", timespec="seconds")
    since = timezone.localtime(message.created_at).isoformat(sep=" ", timespec="seconds")
    return (
        f"{message.message}\n\n"
        f"{message.code}{about}, {message.severity}\n"
        f"Open since {since}, seen {message.occurrences} times, last {seen}.\n\n"
        f"Acknowledge or resolve it in the admin: Alerts, number {message.alert_id}.\n"
    )
