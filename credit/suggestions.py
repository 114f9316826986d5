"""What a score's band suggests for the platform's limit. Pure; amounts are NPR."""

from dataclasses import dataclass
from decimal import Decimal

from credit.models import Retailer
from credit.scoring import Score
from khaacho.money import format_npr, round_money

EVERY_DAYS = 30  # between two automatic changes of a shop's limit


@dataclass(frozen=True)
class Step:
    """A change in per cent; a rise goes to `most` NPR and no further."""

    per_cent: int
    most: Decimal | None = None


STEPS = {
    "excellent": Step(20, Decimal(1_000_000)),
    "good": Step(10, Decimal(500_000)),
    "fair": Step(0),
    "poor": Step(-10),
    "very_poor": Step(-20),
}


def suggested(limit: Decimal, band: str) -> Decimal:
    """Return the limit that the band suggests instead of this one: the same where none is better."""
    step = STEPS[band]
    wanted = round_money(limit * (100 + step.per_cent) / 100)
    if step.most is None:
        return wanted
    return max(limit, min(wanted, step.most))


def sentence(shop: Retailer, made: Score) -> str:
    """Say what the score suggests for the shop's platform limit."""
    if made.is_provisional:
        return "Suggested limit: the starter limit stays until three invoices are settled."
    wanted = suggested(shop.credit_limit, made.band)
    prepaid = "; prepaid is advised" if made.band == "very_poor" else ""
    if wanted == shop.credit_limit:
        return f"Suggested limit: as it is, {format_npr(wanted)}{prepaid}."
    step = STEPS[made.band].per_cent
    name = made.band.replace("_", " ")
    return f"Suggested limit: {format_npr(wanted)} ({name}: {step:+d} %){prepaid}."
