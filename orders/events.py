"""Facts that orders publish."""

from dataclasses import dataclass

from khaacho.events import Event


@dataclass(frozen=True, kw_only=True)
class OrderEvent(Event):
    order_id: int

    @property
    def reference(self) -> str:
        return f"order:{self.order_id}"


@dataclass(frozen=True, kw_only=True)
class OrderPlaced(OrderEvent):
    """The order stands: prices, stock and credit are fixed."""


@dataclass(frozen=True, kw_only=True)
class OrderOffered(OrderEvent):
    """A vendor was asked to take the order."""

    acceptance_id: int


@dataclass(frozen=True, kw_only=True)
class OrderAccepted(OrderEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class OrderUnroutable(OrderEvent):
    """Nobody is left to be asked."""


@dataclass(frozen=True, kw_only=True)
class OrderDispatched(OrderEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class OrderDelivered(OrderEvent):
    """The retailer owes the order's total, and has an invoice."""


@dataclass(frozen=True, kw_only=True)
class OrderCompleted(OrderEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class OrderCancelled(OrderEvent):
    pass


@dataclass(frozen=True, kw_only=True)
class DuesOverdue(Event):
    """Some of a shop's dues have passed their date unpaid."""

    retailer_id: int

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"
