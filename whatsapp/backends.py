"""Who carries our messages. A backend is a class; settings.WHATSAPP_BACKEND names it."""

from typing import Protocol

from django.conf import settings
from django.utils.module_loading import import_string

from whatsapp.models import WhatsAppMessage


class NotTaken(Exception):
    """The provider certainly did not take the message; it may be offered again later."""


class Undeliverable(Exception):
    """The provider will never take this message."""


class Backend(Protocol):
    """Hands one message to a provider.

    `leaves_machine`: sending twice would reach a person twice, so that a message whose outcome is
    not known is not simply sent again.
    """

    leaves_machine: bool

    def send(self, message: WhatsAppMessage) -> str:
        """Return the provider's id of the message. Called outside any transaction.

        Raises NotTaken or Undeliverable where the outcome is known; anything else leaves it open.
        """
        ...


class Console:
    """Without a provider's credentials: messages stay in the database, where the admin shows them."""

    leaves_machine = False

    def send(self, message: WhatsAppMessage) -> str:
        return f"console.{message.pk}"


def current() -> Backend:
    """Return the backend of the settings. Raises ImportError for a path that leads nowhere."""
    backend: Backend = import_string(settings.WHATSAPP_BACKEND)()
    return backend
