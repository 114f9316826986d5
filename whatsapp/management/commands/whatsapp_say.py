"""Play a person's message through the real webhook, and print what is answered."""

import json
import time
import uuid
from typing import Any

import httpx
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from khaacho.phones import normalise_phone
from khaacho.signatures import sign
from whatsapp.models import WhatsAppMessage

NOT_TAKEN, WRONG_USE, NO_ANSWER = 1, 2, 3
POLL_SECONDS = 0.1


class Command(BaseCommand):
    help = (
        "Send a WhatsApp message to this site as if a phone had, and print the answer. Exit codes:"
        " 0 answered or nothing to answer, 1 the webhook did not take it, 2 wrong use, 3 no answer"
        " in time (is a worker running?)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", dest="phone", required=True, metavar="+977…")
        parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the site is")
        parser.add_argument("--button", action="store_true", help="tap the button with that id")
        parser.add_argument("--wamid", default="", help="the message's id, to deliver one twice")
        parser.add_argument("--timeout", type=float, default=15.0, help="seconds to wait (15)")
        parser.add_argument("text", help='for example "RICE-1KG x 10", or a button\'s id')

    def handle(self, *args: Any, **options: Any) -> None:
        phone = normalise_phone(options["phone"])
        if phone is None:
            raise CommandError("--from is no telephone number", returncode=WRONG_USE)
        wamid = options["wamid"] or f"wamid.say-{uuid.uuid4().hex}"
        body = _body(phone, wamid, options["text"], button=options["button"])
        _deliver(options["base_url"], body)
        for words in _answers(wamid, options["timeout"]):
            self.stdout.write(words)


def _body(phone: str, wamid: str, text: str, *, button: bool) -> bytes:
    content: dict[str, Any] = {"type": "text", "text": {"body": text}}
    if button:
        reply = {"type": "button_reply", "button_reply": {"id": text, "title": text}}
        content = {"type": "interactive", "interactive": reply}
    digits = phone.removeprefix("+")
    message = {"from": digits, "id": wamid, "timestamp": str(int(time.time())), **content}
    change = {"field": "messages", "value": {"messages": [message]}}
    return json.dumps({"entry": [{"changes": [change]}]}).encode()


def _deliver(base_url: str, body: bytes) -> None:
    """Post a signed body. Raises CommandError when it is not taken."""
    secrets = settings.WHATSAPP_APP_SECRETS
    if not secrets:
        raise CommandError("WHATSAPP_APP_SECRETS is empty", returncode=WRONG_USE)
    headers = {
        "Content-Type": "application/json",
        "X-Hub-Signature-256": sign(body, secrets[0]),
    }
    try:
        answer = httpx.post(
            f"{base_url.rstrip('/')}/api/v1/whatsapp/webhook", content=body, headers=headers
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"{base_url} does not answer: {error}", returncode=NOT_TAKEN) from None
    if answer.status_code != httpx.codes.OK:
        reason = f"the webhook answered {answer.status_code}: {answer.text[:300]}"
        raise CommandError(reason, returncode=NOT_TAKEN)


def _answers(wamid: str, seconds: float) -> list[str]:
    """Return the words of the answer, once the message is answered. Raises CommandError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if WhatsAppMessage.objects.filter(provider_message_id=wamid, is_processed=True).exists():
            replies = WhatsAppMessage.objects.filter(in_reply_to__provider_message_id=wamid)
            return list(replies.order_by("pk").values_list("body", flat=True))
        time.sleep(POLL_SECONDS)
    raise CommandError(f"no answer within {seconds:g} seconds", returncode=NO_ANSWER)
