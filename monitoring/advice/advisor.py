"""Which indexes would make the measured work cheaper, each verified by the planner.

The work is the statements that took most time. A statement's time is scaled by what its plan costs with an
index and without: cost is only the planner's word, time was measured. The best candidate is taken, then the
next best beside it, until none saves enough. Evaluations are lazy: an index seldom helps
more after another was taken, so only those that could still be the best are planned again.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from monitoring.advice import candidates, conditions, relations, statements
from monitoring.advice.candidates import Candidate
from monitoring.advice.conditions import Table
from monitoring.advice.hints import Hint, hints
from monitoring.advice.hypothetical import Hypotheses, believing
from monitoring.advice.planning import CannotPlan, Planner, planning
from monitoring.advice.relations import Relation
from monitoring.advice.statements import Statement

LIMIT = 40  # statements
SECONDS = 5.0
CANDIDATES_MAX = 200
INDEXES_MAX = 10
LEAST_COST = 100.0  # of a statement worth helping: below it a handful of pages is read
MS_PER_COST = (
    0.1  # at most, of a slow disk; more was measured before the plan became what it is now
)
PLAN_MS = 500  # that one planning may take
WORTH = 0.01  # of the workload's time that an index must save
HELP = 0.2  # of a statement's cost that it must save, to be said to help it
ALIKE = 0.98  # a smaller index that saves this part of the best one's saving is better
ENTRY_MS = 0.005  # of writing one entry of an index: a guess, for the order of magnitude


@dataclass(frozen=True)
class Helped:
    """A statement beside an index: the planner's cost without and with it, and what was measured until now."""

    statement: Statement
    cost_before: float
    cost_after: float


@dataclass(frozen=True)
class Suggestion:
    """An index worth having. `saved_ms` of the `workload_ms` measured it would have saved beside those
    before it; `size` in bytes, estimated.

    `entries_written` is how often the table's rows were written in a way that would have written the index,
    since PostgreSQL counts: a number to weigh, no reason to refuse, since loading a table once counts too.
    """

    candidate: Candidate
    size: int
    saved_ms: float
    workload_ms: float
    helped: tuple[Helped, ...]
    entries_written: int
    makes_redundant: tuple[str, ...]
    parts: tuple[Table, ...]

    @property
    def write_ms(self) -> float:
        """About what writing the index would have taken in that time."""
        return self.entries_written * ENTRY_MS


@dataclass(frozen=True)
class Advice:
    """What was found: verified suggestions, or without HypoPG only hints.

    `skipped` says by queryid why a statement has no plan. Not complete: the time ran out.
    """

    planned: int
    candidates: int
    seconds: float
    is_verified: bool
    is_complete: bool
    suggestions: tuple[Suggestion, ...] = ()
    hints: tuple[Hint, ...] = ()
    skipped: dict[int, str] = field(default_factory=dict)


@dataclass
class Work:
    """A statement with its present cost, and what a unit of it took."""

    statement: Statement
    base: float
    cost: float
    tables: frozenset[Table]
    wishes: list[conditions.Wish]

    @property
    def weight(self) -> float:
        """Milliseconds, of all calls together, that a unit of cost stands for."""
        statement = self.statement
        return min(statement.total_ms / max(self.base, 1e-9), statement.calls * MS_PER_COST)


@dataclass
class Trial:
    """What one candidate was found to save (ms), and the costs with it by queryid."""

    candidate: Candidate
    saved: float
    size: int
    costs: dict[int, float]
    round: int


class OutOfTime(Exception):
    """The time given is over."""


def advise(limit: int = LIMIT, seconds: float = SECONDS) -> Advice:
    """Return the indexes that would make the `limit` most costly statements cheaper.

    Takes at most about `seconds`; reads statistics and plans, runs nothing of the statements and writes
    nothing. Raises CannotPlan when the database does not answer.
    """
    begun = time.monotonic()
    with planning(PLAN_MS) as planner, believing(planner) as hypotheses:
        deadline = begun + seconds
        work, skipped, is_complete = _planned(planner, statements.top(planner, limit), deadline)
        known = relations.load(planner, {table for each in work for table in each.tables})
        if hypotheses is None:
            return Advice(
                planned=len(work),
                candidates=0,
                seconds=time.monotonic() - begun,
                is_verified=False,
                is_complete=is_complete,
                hints=hints(planner),
                skipped=skipped,
            )
        search = _Search(planner, hypotheses, work, known, deadline)
        search.run()
        return Advice(
            planned=len(work),
            candidates=search.tried,
            seconds=time.monotonic() - begun,
            is_verified=True,
            is_complete=is_complete and search.is_complete,
            suggestions=tuple(search.suggestions),
            skipped=skipped,
        )


def _planned(
    planner: Planner, found: Iterable[Statement], deadline: float
) -> tuple[list[Work], dict[int, str], bool]:
    work: list[Work] = []
    skipped: dict[int, str] = {}
    for statement in found:
        if time.monotonic() > deadline:
            return work, skipped, False
        try:
            plan = planner.plan(statement.text, statement.rows_per_call)
        except CannotPlan as error:
            skipped[statement.queryid] = error.message
            continue
        cost = float(plan["Total Cost"])
        wishes = list(conditions.wishes(plan).values())
        work.append(Work(statement, cost, cost, frozenset(conditions.tables(plan)), wishes))
    return work, skipped, True


class _Search:
    """Take the best candidate again and again."""

    def __init__(
        self,
        planner: Planner,
        hypotheses: Hypotheses,
        work: list[Work],
        known: dict[Table, Relation],
        deadline: float,
    ) -> None:
        self._planner = planner
        self._hypotheses = hypotheses
        self._work = work
        self._known = known
        self._deadline = deadline
        self._total = sum(each.statement.total_ms for each in work)
        self.suggestions: list[Suggestion] = []
        self.tried = 0
        self.is_complete = True

    def run(self) -> None:
        trials = [Trial(each, float("inf"), 0, {}, -1) for each in self._candidates()]
        self.tried = len(trials)
        try:
            for turn in range(INDEXES_MAX):
                best = self._best(trials, turn)
                if best is None:
                    break
                self._take(best)
                trials = [each for each in trials if self._is_still_wanted(each.candidate)]
        except OutOfTime:
            self.is_complete = False

    def _candidates(self) -> list[Candidate]:
        """Return the candidates of the most costly statements first, each once, up to a number."""
        found: dict[Candidate, None] = {}
        for each in self._work:
            for wish in each.wishes:
                if wish.table in self._known:
                    found.update(dict.fromkeys(candidates.proposed(wish, self._known[wish.table])))
        self.is_complete = len(found) <= CANDIDATES_MAX
        return list(found)[:CANDIDATES_MAX]

    def _best(self, trials: list[Trial], turn: int) -> Trial | None:
        """Return the trial to take, or None when none is worth it. What could not be the best is left."""
        trials.sort(key=lambda each: -each.saved)
        best_saved, fresh = 0.0, []
        for trial in trials:
            if trial.saved < best_saved * ALIKE:
                break
            self._try(trial, turn)
            fresh.append(trial)
            best_saved = max(best_saved, trial.saved)
        alike = [
            each for each in fresh if each.saved >= best_saved * ALIKE and self._is_worth(each)
        ]
        return min(alike, key=lambda each: (each.size, each.candidate), default=None)

    def _is_worth(self, trial: Trial) -> bool:
        return trial.saved > WORTH * self._total and any(self._helped(trial))

    def _try(self, trial: Trial, turn: int) -> None:
        if time.monotonic() > self._deadline:
            raise OutOfTime
        number = self._hypotheses.suppose(trial.candidate)
        trial.round, trial.saved, trial.costs = turn, 0.0, {}
        if number is None:
            return
        try:
            for each in self._concerned(trial.candidate):
                cost = self._cost(each)
                trial.costs[each.statement.queryid] = cost
                trial.saved += each.weight * (each.cost - cost)
            trial.size = self._hypotheses.size(number)
        finally:
            self._hypotheses.forget(number)

    def _concerned(self, candidate: Candidate) -> Iterator[Work]:
        """Yield what touches the candidate's table and is not cheap already."""
        for each in self._work:
            roots = {self._known[table].table for table in each.tables if table in self._known}
            if candidate.table in roots and each.cost >= LEAST_COST:
                yield each

    def _cost(self, work: Work) -> float:
        statement = work.statement
        try:
            plan = self._planner.plan(statement.text, statement.rows_per_call)
        except CannotPlan:
            return work.cost  # it was locked in this moment, or dropped
        return float(plan["Total Cost"])

    def _helped(self, trial: Trial) -> Iterator[Helped]:
        for each in self._concerned(trial.candidate):
            cost = trial.costs.get(each.statement.queryid, each.cost)
            if cost < each.cost * (1 - HELP):
                yield Helped(each.statement, each.cost, cost)

    def _take(self, trial: Trial) -> None:
        relation = self._known[trial.candidate.table]
        helped = sorted(self._helped(trial), key=lambda each: -each.statement.total_ms)
        self.suggestions.append(
            Suggestion(
                candidate=trial.candidate,
                size=trial.size,
                saved_ms=trial.saved,
                workload_ms=self._total,
                helped=tuple(helped),
                entries_written=relation.entries_written,
                makes_redundant=candidates.made_redundant(trial.candidate, relation.indexes),
                parts=tuple(relation.parts) if relation.is_partitioned else (),
            )
        )
        self._hypotheses.suppose(trial.candidate)
        for each in self._concerned(trial.candidate):
            each.cost = trial.costs.get(each.statement.queryid, each.cost)
        relation.indexes.append(
            relations.Existing(
                name="",
                is_unique=False,
                keys=trial.candidate.keys,
                included=trial.candidate.included,
                condition=candidates.held(trial.candidate),
            )
        )

    def _is_still_wanted(self, candidate: Candidate) -> bool:
        return not candidates.is_served(candidate, self._known[candidate.table])
