"""Facts that payments publish."""

from dataclasses import dataclass

from khaacho.events import Event


@dataclass(frozen=True, kw_only=True)
class PaymentEvent(Event):
    payment_id: int

    @property
    def reference(self) -> str:
        return f"payment:{self.payment_id}"


@dataclass(frozen=True, kw_only=True)
class PaymentRecorded(PaymentEvent):
    """Money was received, allocated and posted."""


@dataclass(frozen=True, kw_only=True)
class PaymentReversed(PaymentEvent):
    """A payment was taken back; the orders it had paid are open again."""
