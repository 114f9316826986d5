"""Meta's side: bodies as its webhook sends them, and a phone that talks to us through it."""

import json
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from django.http import HttpResponse
from django.test import Client

from credit.models import Retailer
from khaacho import jobs
from khaacho.models import User
from khaacho.signatures import sign
from tests.factories import make_retailer, make_vendor
from vendors.models import Vendor
from whatsapp.models import WhatsAppMessage

SECRET = "app-secret"
URL = "/api/v1/whatsapp/webhook"
OURS = "977 1-5550100"

_ids = count(1)


def text(phone: str, words: str, *, wamid: str | None = None, at: int | None = None) -> dict:
    return message(phone, "text", {"body": words}, wamid=wamid, at=at)


def button(phone: str, choice: str, *, wamid: str | None = None) -> dict:
    reply = {"type": "button_reply", "button_reply": {"id": choice, "title": choice.title()}}
    return message(phone, "interactive", reply, wamid=wamid)


def message(
    phone: str, kind: str, content: Any, *, wamid: str | None = None, at: int | None = None
) -> dict:
    number = next(_ids)
    return {
        "from": phone.removeprefix("+"),
        "id": wamid or f"wamid.{number}",
        "timestamp": str(at or 1_700_000_000 + number),
        "type": kind,
        kind: content,
    }


def report(wamid: str, status: str, **extra: Any) -> dict:
    return {"id": wamid, "status": status, "timestamp": "1700000000", **extra}


def envelope(*messages: Any, statuses: Any = ()) -> bytes:
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": OURS, "phone_number_id": "1"},
        "messages": list(messages),
        "statuses": list(statuses),
    }
    change = {"field": "messages", "value": value}
    entry = [{"id": "1", "changes": [change]}]
    return json.dumps({"object": "whatsapp_business_account", "entry": entry}).encode()


def post(body: bytes, *, secret: str = SECRET, url: str = URL) -> HttpResponse:
    headers = {"X-Hub-Signature-256": sign(body, secret)}
    return Client().post(url, body, content_type="application/json", headers=headers)


@dataclass
class Phone:
    """A person who writes and reads; every job that is due is done before the answer is read."""

    number: str
    seen: set[int] = field(default_factory=set)

    def say(self, words: str, *, wamid: str | None = None) -> str:
        return self.deliver(text(self.number, words, wamid=wamid))

    def tap(self, choice: str, *, wamid: str | None = None) -> str:
        return self.deliver(button(self.number, choice, wamid=wamid))

    def deliver(self, *messages: dict) -> str:
        jobs.run_due()
        self.read()
        assert post(envelope(*messages)).status_code == 200
        jobs.run_due()
        return self.read()

    def read(self) -> str:
        """What has come since the last look, as one text."""
        new = WhatsAppMessage.objects.filter(to_number=self.number).exclude(pk__in=self.seen)
        found = list(new.order_by("pk"))
        self.seen |= {m.pk for m in found}
        return "\n---\n".join(m.body for m in found)


def english(owner: Retailer | Vendor) -> Phone:
    """Let the owner read English, and return their phone."""
    User.objects.filter(pk=owner.user_id).update(language="en")
    return Phone(owner.user.phone)


def make_shop(**fields: Any) -> tuple[Retailer, Phone]:
    shop = make_retailer(**fields)
    return shop, english(shop)


def make_wholesaler() -> tuple[Vendor, Phone]:
    vendor = make_vendor()
    return vendor, english(vendor)
