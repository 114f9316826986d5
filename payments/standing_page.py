"""How a shop stands, as its page in the admin shows it: ageing, score and why, history, suggested limit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from credit import suggestions
from credit.models import CreditScore, Retailer
from credit.scoring import BANDS, CEILING, FLOOR, Advice, Score
from credit.selectors import scoring_of
from khaacho.money import format_npr
from orders.selectors import hold_reason
from payments import ageing, scores
from payments.ageing import Ageing

MOST = 100  # scorings of the chart
WIDTH, HEIGHT = 600, 120
BUCKETS = {
    "Not due": "not_due",
    "1–30": "days_1_30",
    "31–60": "days_31_60",
    "61–90": "days_61_90",
    "91–120": "days_91_120",
    "over 120": "over_120",
    "Unapplied credit": "unapplied_credit",
    "Balance": "balance",
}


@dataclass(frozen=True)
class Standing:
    """What the template shows. `line` are the points of the chart, `grid` its bands as (score, y)."""

    hold: str
    buckets: Sequence[tuple[str, str]]
    kept: CreditScore | None
    score: Score
    band: str
    computed_at: str
    advice: Sequence[Advice]
    line: str
    grid: Sequence[tuple[int, int]]
    history_words: str
    suggestion: str


def standing(shop: Retailer) -> Standing:
    """Return how the shop stands. Eleven queries."""
    aged = ageing.by_retailer(retailer_ids=[shop.pk]).get(shop.pk, Ageing())
    scoring = scoring_of(shop)
    known = scores.known(shop.pk)
    history = _history(shop)
    return Standing(
        hold=hold_reason(known.facts.oldest_days_late),
        buckets=[(name, format_npr(getattr(aged, field))) for name, field in BUCKETS.items()],
        kept=scoring.kept,
        score=scoring.made,
        band=scoring.made.band.replace("_", " "),
        computed_at=_moment(scoring.kept),
        advice=known.advice,
        line=_line(history),
        grid=[(floor, _height(floor)) for floor, _ in BANDS],
        history_words=_words(history),
        suggestion=suggestions.sentence(shop, scoring.made),
    )


def _moment(kept: CreditScore | None) -> str:
    return f"{timezone.localtime(kept.created_at):%Y-%m-%d %H:%M}" if kept else ""


def _history(shop: Retailer) -> list[tuple[datetime, int]]:
    newest = CreditScore.objects.filter(retailer=shop).order_by("-created_at")
    return list(newest.values_list("created_at", "score")[:MOST])[::-1]


def _height(score: int) -> int:
    return HEIGHT - round(HEIGHT * (score - FLOOR) / (CEILING - FLOOR))


def _line(history: Sequence[tuple[datetime, int]]) -> str:
    """Return the chart's points: time to the right, the score upwards; none for fewer than two."""
    if len(history) < 2:
        return ""
    first, last = history[0][0], history[-1][0]
    span = (last - first).total_seconds() or 1
    points: list[Any] = [
        f"{round(WIDTH * (moment - first).total_seconds() / span)},{_height(score)}"
        for moment, score in history
    ]
    return " ".join(points)


def _words(history: Sequence[tuple[datetime, int]]) -> str:
    if len(history) < 2:
        return ""
    found = [score for _, score in history]
    first, last = (f"{timezone.localtime(each[0]):%Y-%m-%d}" for each in (history[0], history[-1]))
    return (
        f"Score from {first} ({found[0]}) to {last} ({found[-1]}): lowest {min(found)},"
        f" highest {max(found)}. All scorings are listed under Scores."
    )
