"""Jobs of WhatsApp: each fetches and calls a verb."""

from khaacho.jobs import Claim
from whatsapp import services

RECOVERED_AT_ONCE = 500


def read(*, webhook_id: int) -> None:
    services.read_webhook(webhook_id)


def answer(*, message_id: int) -> None:
    services.answer_message(message_id)


def send(*, claim: Claim, message_id: int) -> None:
    services.hand_over(message_id, is_last_try=claim.attempts >= claim.max_attempts)


def recover() -> None:
    services.recover_receiving(limit=RECOVERED_AT_ONCE)
    services.recover_sending(limit=RECOVERED_AT_ONCE)
