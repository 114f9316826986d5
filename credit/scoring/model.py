"""What a version of the credit score consists of: weights, curves and caps, all in one place.

A version is never changed once scores are stored under it: it is followed by another, and stays here
so that the old ones can be computed again (docs/credit-score.md).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType

FLOOR, CEILING = 300, 900
BANDS = ((750, "excellent"), (650, "good"), (550, "fair"), (450, "poor"))
WORST_BAND = "very_poor"
BAND_NAMES = (*(name for _, name in BANDS), WORST_BAND)


def band(score: int) -> str:
    """Return the band of a credit score: excellent, good, fair, poor, very_poor."""
    return next((name for floor, name in BANDS if score >= floor), WORST_BAND)


@dataclass(frozen=True)
class Curve:
    """Points (x, y) in the order of x, joined by straight lines; level before the first and after the last."""

    points: tuple[tuple[Decimal, Decimal], ...]

    def at(self, x: Decimal) -> Decimal:
        first, last = self.points[0], self.points[-1]
        if x <= first[0]:
            return first[1]
        for (x0, y0), (x1, y1) in pairwise(self.points):
            if x <= x1:
                return y0 + (y1 - y0) * (x - x0) / (x1 - x0)
        return last[1]


def curve(*points: tuple[str, str]) -> Curve:
    return Curve(tuple((Decimal(x), Decimal(y)) for x, y in points))


@dataclass(frozen=True, kw_only=True)
class Model:
    """One version of the score. `weights` are by factor, in the order shown, and total 1."""

    version: str
    weights: Mapping[str, Decimal]
    history_days: int = 730  # 24 months: which invoices, orders and disputes count
    half_life_days: int = 180  # an invoice counts half as much as one due so many days later
    prior: Decimal = Decimal("0.60")  # what is believed of a shop of which nothing is known …
    prior_invoices: int = 5  # … and how many invoices that belief weighs
    severity: Curve  # days late → share of the points
    utilisation_days: int = 90
    utilisation: Curve  # mean of exposure / limit → share of the points
    unknown_utilisation: Decimal = Decimal("0.6")
    dispute_prior: tuple[Decimal, int] = (Decimal("0.5"), 10)  # (disputes, orders) added to both
    disputes: Curve
    period_days: int = 28
    periods: int = 13
    full_activity: Decimal = Decimal("0.75")
    full_regularity: Decimal = Decimal("0.6")
    no_orders: Decimal = Decimal("0.25")
    tenure_months: int = 24
    settled_for_certainty: int = 3
    late_caps: Sequence[tuple[int, int]] = ((90, 449), (60, 549), (30, 649))  # more days than → cap
    written_off_cap: int = 449
    bounced_cap: int = 649
    bounced_days: int = 90
    points: Mapping[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Share the points out. Raises ValueError for weights that are not whole points of them all."""
        span = CEILING - FLOOR
        shares = {code: weight * span for code, weight in self.weights.items()}
        if sum(shares.values()) != span or any(share % 1 for share in shares.values()):
            raise ValueError(f"the weights of {self.version} do not total 1 in whole points")
        points = MappingProxyType({code: int(share) for code, share in shares.items()})
        object.__setattr__(self, "points", points)


V1 = Model(
    version="v1",
    weights=MappingProxyType(
        {
            "payment": Decimal("0.60"),
            "utilisation": Decimal("0.15"),
            "disputes": Decimal("0.10"),
            "consistency": Decimal("0.10"),
            "tenure": Decimal("0.05"),
        }
    ),
    severity=curve(
        ("0", "1"), ("7", "0.70"), ("15", "0.50"), ("30", "0.30"), ("60", "0.15"), ("90", "0")
    ),
    utilisation=curve(
        ("0.30", "1"), ("0.50", "0.75"), ("0.70", "0.50"), ("0.90", "0.20"), ("1", "0")
    ),
    disputes=curve(("0", "1"), ("0.20", "0")),
)
MODELS: Mapping[str, Model] = MappingProxyType({model.version: model for model in (V1,)})
