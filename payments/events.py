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


@dataclass(frozen=True, kw_only=True)
class ReminderPlanned(Event):
    """A shop is to be told of its dues, today and once."""

    retailer_id: int
    notice_id: int

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"
