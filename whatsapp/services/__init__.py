"""Verbs of the conversation: receive, answer, send."""

from whatsapp.services.answering import answer_message
from whatsapp.services.receiving import read_webhook, recover_receiving, store_webhook
from whatsapp.services.sending import (
    Button,
    Words,
    hand_over,
    open_conversation,
    queue_message,
    recover_sending,
)

__all__ = [
    "Button",
    "Words",
    "answer_message",
    "hand_over",
    "open_conversation",
    "queue_message",
    "read_webhook",
    "recover_receiving",
    "recover_sending",
    "store_webhook",
]
