"""Orders by WhatsApp: signed webhooks, as the provider sends them."""

import json
import time
from typing import Any

from django.conf import settings

from bench.trade.play import backstage
from bench.trade.play.plan import Errand
from bench.trade.play.site import Answer, Person
from khaacho.signatures import sign

WEBHOOK = "whatsapp/webhook"
ANSWER_SECONDS = 60.0


def is_possible() -> bool:
    """Whether a secret is known with which the site takes webhooks."""
    return bool(settings.WHATSAPP_APP_SECRETS)


def order(shop: Person, errand: Errand, prefix: str) -> int | None:
    """Write lines, wait for the draft, confirm it; return the order made, None when it was refused.

    Said twice it is done once: the messages' ids are the errand's. Raises Unexpected.
    """
    lines, confirmation, cancellation = (
        f"wamid.{prefix}/o{errand.number:04}/{step}" for step in ("lines", "yes", "no")
    )
    if (known := backstage.order_of(confirmation)) is not None:
        return known
    say(shop, lines, "\n".join(f"{packs} x {offer.sku}" for offer, packs in errand.lines))
    backstage.wait_for_answer(lines, ANSWER_SECONDS)
    say(shop, confirmation, "CONFIRM" if _has_credit(shop, errand) else "CONFIRM CASH")
    backstage.wait_for_answer(confirmation, ANSWER_SECONDS)
    made = backstage.order_of(confirmation)
    if made is None:  # the draft stays, and the next order's lines would be added to it
        say(shop, cancellation, "CANCEL")
        backstage.wait_for_answer(cancellation, ANSWER_SECONDS)
    return made


def _has_credit(shop: Person, errand: Errand) -> bool:
    quote = shop.post("quote", "orders/quote/", errand.body(on_credit=True)).ok()
    return bool(quote["is_acceptable"])


def say(shop: Person, wamid: str, text: str) -> None:
    """Deliver a message from the shop's phone. Raises Unexpected when the site does not take it."""
    post(shop, wamid, text, settings.WHATSAPP_APP_SECRETS[0]).ok()


def post(shop: Person, wamid: str, text: str, secret: str) -> Answer:
    """Deliver a message under the signature that the secret makes."""
    message: dict[str, Any] = {
        "from": shop.login["phone"].removeprefix("+"),
        "id": wamid,
        "timestamp": str(int(time.time())),
        "type": "text",
        "text": {"body": text},
    }
    change = {"field": "messages", "value": {"messages": [message]}}
    body = json.dumps({"entry": [{"changes": [change]}]}).encode()
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(body, secret)}
    return shop.site.request("webhook", "POST", WEBHOOK, content=body, headers=headers)
