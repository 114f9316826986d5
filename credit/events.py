"""Facts that credit publishes."""

from dataclasses import dataclass

from khaacho.events import Event


@dataclass(frozen=True, kw_only=True)
class RetailerApproved(Event):
    retailer_id: int

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"


@dataclass(frozen=True, kw_only=True)
class RetailerBlocked(Event):
    retailer_id: int

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"


@dataclass(frozen=True, kw_only=True)
class CreditLimitChanged(Event):
    retailer_id: int
    account_id: int | None

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"


@dataclass(frozen=True, kw_only=True)
class CreditScoreChanged(Event):
    """A shop's score went into another band."""

    retailer_id: int
    old_score: int
    new_score: int
    old_band: str
    new_band: str

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"


@dataclass(frozen=True, kw_only=True)
class ScoringAsked(Event):
    """Somebody wants a shop's score computed now."""

    retailer_id: int

    @property
    def reference(self) -> str:
        return f"retailer:{self.retailer_id}"
