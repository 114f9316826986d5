"""Which vendor should serve an order: a score of 0-100 from five parts. Pure: no database, no clock.

Source of the formula: docs/routing.md. Weights are configuration that must total 100.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import median


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A vendor that can serve every line.

    `coverage` is the smallest of stock free / quantity over the lines (at least 1). Rates are 0-1,
    or None for a vendor without history. `total` is NPR with VAT.
    """

    vendor_id: int
    total: Decimal
    coverage: float
    municipality: str
    district: str
    province: str
    open_orders: int
    acceptance_rate: float | None = None
    completion_rate: float | None = None
    cancellation_rate: float | None = None
    fulfilment_hours: float | None = None


@dataclass(frozen=True, kw_only=True)
class Destination:
    municipality: str
    district: str
    province: str


@dataclass(frozen=True)
class Scored:
    """A candidate's score and its parts (each 0-100 before weighting), best first in a decision."""

    vendor_id: int
    score: float
    parts: Mapping[str, float]
    total: Decimal

    def as_json(self) -> dict[str, object]:
        return {
            "vendor_id": self.vendor_id,
            "score": self.score,
            "parts": dict(self.parts),
            "total": str(self.total),
        }


RELIABILITY = {"acceptance": 25, "completion": 30, "speed": 20, "keeping": 15, "price": 10}


def rank(
    candidates: Sequence[Candidate], destination: Destination, weights: Mapping[str, int]
) -> list[Scored]:
    """Return all candidates scored, best first; equal scores go to the cheaper, then the older vendor.

    Raises ValueError when the weights do not total 100.
    """
    if sum(weights.values()) != 100:
        raise ValueError("routing weights must total 100")
    reliabilities = _reliabilities(candidates)
    cheapest = min((c.total for c in candidates), default=Decimal(0))
    dearest = max((c.total for c in candidates), default=Decimal(0))
    scored = []
    for candidate in candidates:
        parts = {
            "availability": availability(candidate.coverage),
            "proximity": proximity(candidate, destination),
            "workload": workload(candidate.open_orders),
            "price": price(candidate.total, cheapest, dearest),
            "reliability": reliabilities[candidate.vendor_id],
        }
        score = sum(weights[name] * value for name, value in parts.items()) / 100
        rounded = {name: round(value, 2) for name, value in parts.items()}
        scored.append(Scored(candidate.vendor_id, round(score, 2), rounded, candidate.total))
    return sorted(scored, key=lambda s: (-s.score, s.total, s.vendor_id))


def availability(coverage: float) -> float:
    """100 with twice the quantity in stock, 70 with enough, else 0."""
    if coverage >= 2:
        return 100.0
    return 70.0 if coverage >= 1 else 0.0


def proximity(candidate: Candidate, destination: Destination) -> float:
    """100 in the same municipality, 70 district, 40 province, else 10."""
    if candidate.province != destination.province:
        return 10.0
    if candidate.district != destination.district:
        return 40.0
    return 100.0 if candidate.municipality == destination.municipality else 70.0


def workload(open_orders: int) -> float:
    """100 up to 5 open orders, 75 up to 10, 50 up to 20, 25 up to 30, else 0."""
    for limit, value in ((5, 100.0), (10, 75.0), (20, 50.0), (30, 25.0)):
        if open_orders <= limit:
            return value
    return 0.0


def price(total: Decimal, cheapest: Decimal, dearest: Decimal) -> float:
    """100 for the cheapest of the candidates, 0 for the dearest, linear between."""
    if dearest == cheapest:
        return 100.0
    return float(100 * (dearest - total) / (dearest - cheapest))


def _reliabilities(candidates: Sequence[Candidate]) -> dict[int, float]:
    """Each vendor's reliability 0-100; a vendor without history gets the others' median, alone 50."""
    known = {
        c.vendor_id: value for c in candidates if (value := _reliability(c, candidates)) is not None
    }
    middle = median(known.values()) if known else 50.0
    return {c.vendor_id: known.get(c.vendor_id, middle) for c in candidates}


def _reliability(candidate: Candidate, candidates: Sequence[Candidate]) -> float | None:
    if candidate.acceptance_rate is None or candidate.completion_rate is None:
        return None
    hours = candidate.fulfilment_hours
    speed = 0.5 if hours is None else max(0.0, min(1.0, (96 - hours) / 72))  # 24 h → 1, 96 h → 0
    totals = [c.total for c in candidates]
    parts = {
        "acceptance": candidate.acceptance_rate,
        "completion": candidate.completion_rate,
        "speed": speed,
        "keeping": 1 - (candidate.cancellation_rate or 0.0),
        "price": price(candidate.total, min(totals), max(totals)) / 100,
    }
    return sum(RELIABILITY[name] * value for name, value in parts.items())
