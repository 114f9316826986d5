"""What an index did to the statements it was advised for: measured, before it and since."""

from dataclasses import dataclass

from monitoring.advice import statements
from monitoring.advice.keeping import queryids
from monitoring.advice.planning import planning
from monitoring.enums import AdviceState
from monitoring.models import IndexAdvice


@dataclass(frozen=True)
class Effect:
    """One statement's mean ms until the index was seen, and of its calls since. `calls` are those since.

    Both by subtraction of what PostgreSQL counts, which is never reset; `after_ms` is None while there
    was no call, or when the counts began anew.
    """

    queryid: int
    text: str
    before_ms: float
    after_ms: float | None
    calls: int

    @property
    def cut(self) -> float | None:
        """The share of the mean that is gone: 0.8 is four fifths."""
        if self.after_ms is None or not self.before_ms:
            return None
        return 1 - self.after_ms / self.before_ms


def effects(advice: IndexAdvice) -> list[Effect]:
    """Return how the statements do since the index exists; nothing of advice that nobody followed.

    One statement on the alias `monitor`. Raises Unavailable, CannotPlan.
    """
    if advice.state != AdviceState.CREATED:
        return []
    with planning() as planner:
        now = statements.measured(planner, queryids(advice))
    return [_effect(each, advice.measured, now) for each in advice.helped]


def _effect(
    helped: dict[str, object], then: dict[str, list[float]], now: dict[int, tuple[int, float]]
) -> Effect:
    queryid = str(helped["queryid"])
    calls, total = now.get(int(queryid), (0, 0.0))
    calls_then, total_then = then.get(queryid, (0, 0.0))
    since = calls - int(calls_then)
    before = total_then / calls_then if calls_then else float(str(helped["mean_ms"]))
    return Effect(
        queryid=int(queryid),
        text=str(helped["text"]),
        before_ms=before,
        after_ms=(total - total_then) / since if since > 0 and total >= total_then else None,
        calls=max(0, since),
    )
