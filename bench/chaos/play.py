"""One run: the load goes on, acts begin and end at their seconds, then everything is looked at."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from django.db import Error, connections, transaction

from bench.chaos import expectations, faults, kinds
from bench.chaos.expectations import Scene
from bench.chaos.load import Ledger, Load
from bench.chaos.market import Market, open_market, prepare
from bench.chaos.stage import Stage
from bench.chaos.timeline import Act
from khaacho import jobs, sql

Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a run does: its acts, how much load, how long may remain undone after the last act."""

    acts: Sequence[Act]
    seconds: float
    seed: int
    rate: float = 6.0  # orders a second
    clients: int = 4
    drain_seconds: float = 60.0
    poisons: tuple[str, ...] = kinds.POISONS
    verify: bool = True


@dataclass
class Outcome:
    """What happened: acts as they were, by the run's clock, with what was said of each."""

    plan: Plan
    acts: list[Act] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    ledger: Ledger = field(default_factory=Ledger)
    depths: list[tuple[float, float]] = field(default_factory=list)  # second, jobs that were due
    drained: float = 0.0
    left: str = ""
    violations: dict[str, list[str]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        return not any(self.violations.values())


def begin(stage: Stage, say: Say, *nodes: tuple[str, ...]) -> None:
    """Start web, two beats and two workers, of two children each or with the options given.

    Raises RuntimeError when one does not work.
    """
    prepare()
    workers = [
        stage.node(f"node-{n}", *options)
        for n, options in enumerate(nodes or (("-c", "2"), ("-c", "2")), 1)
    ]
    stage.start(stage.web(), *workers, stage.beat("beat-1"), stage.beat("beat-2"))
    say(f"{len(stage.pieces)} processes work")


def play(stage: Stage, plan: Plan, say: Say) -> Outcome:
    """Open the market, break what the plan says under its load, and check every expectation."""
    return _Run(stage, plan, say, open_market()).run()


class _Run:
    def __init__(self, stage: Stage, plan: Plan, say: Say, market: Market) -> None:
        self.stage, self.plan, self.say = stage, plan, say
        self.outcome = Outcome(plan)
        self.load = Load(stage.url, market, rate=plan.rate, clients=plan.clients, seed=plan.seed)
        self.outcome.ledger = self.ledger = self.load.ledger
        self.mending: list[tuple[float, int, faults.Mend]] = []  # when, which act, how

    def run(self) -> Outcome:
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(over,))
        poisons = self._plant()
        self.load.start()
        watcher.start()
        try:
            self._act_out()
        finally:
            self.load.stop()
            over.set()
            self._mend_until(float("inf"))
            watcher.join()
        self.load.finish()
        return self._judge(poisons)

    def _plant(self) -> tuple[str, ...]:
        with transaction.atomic():
            for name in self.plan.poisons:
                jobs.enqueue(f"chaos.{name}")
        return tuple(f"chaos.{name}" for name in self.plan.poisons)

    def _act_out(self) -> None:
        waiting = list(self.plan.acts)
        while waiting or self.mending or self.ledger.now() < self.plan.seconds:
            self._mend_until(self.ledger.now())
            waiting = [act for act in waiting if not self._is_begun(act)]
            time.sleep(0.02)

    def _is_begun(self, act: Act) -> bool:
        """Begin the act when it is time; what cannot begin yet is tried again for a while."""
        now = self.ledger.now()
        if act.at > now:
            return False
        try:
            what, mend = faults.begin(act.fault.name, self.stage)
        except faults.NotNow:
            if now < act.at + POSTPONED_SECONDS:
                return False
            what, mend = "could not begin", faults.nothing
            self.ledger.troubles.append(f"{act.fault.name} could not begin")
        number = len(self.outcome.acts)
        self.outcome.acts.append(replace(act, at=now))
        self.outcome.said.append(what)
        self.say(f"{now:6.1f} s  {act.fault.name}: {act.fault.what}{what and f' ({what})'}")
        self.mending.append((self.ledger.now() + act.seconds, number, mend))
        return True

    def _mend_until(self, moment: float) -> None:
        for each in sorted(self.mending, key=lambda each: each[0]):
            when, number, mend = each
            if when > moment:
                continue
            self.mending.remove(each)
            what, act = mend(), self.outcome.acts[number]
            self.outcome.acts[number] = replace(act, seconds=self.ledger.now() - act.at)
            if what:
                self.outcome.said[number] = "; ".join(
                    filter(None, [self.outcome.said[number], what])
                )
            if act.seconds:
                self.say(
                    f"{self.ledger.now():6.1f} s  {act.fault.name}: over{what and f' ({what})'}"
                )

    def _watch(self, over: threading.Event) -> None:
        """Note once a second how many jobs are due."""
        try:
            while not over.wait(1.0):
                try:
                    row = sql.fetch_one(DUE)
                except Error:
                    connections.close_all()
                    continue
                self.outcome.depths.append((self.ledger.now(), float(row[0] if row else 0)))
        finally:
            connections.close_all()

    def _judge(self, poisons: tuple[str, ...]) -> Outcome:
        connections.close_all()
        row = sql.fetch_one("SELECT clock_timestamp()::text")
        assert row
        cutoff = row[0]
        self.say(f"{self.ledger.now():6.1f} s  the load ends; waiting for its jobs")
        drained, left = expectations.drain(cutoff, self.plan.drain_seconds)
        self.outcome.drained, self.outcome.left = drained, left
        scene = Scene(self.stage, self.ledger, self.outcome.acts, cutoff, poisons)
        checked = expectations.check(scene, books=self.plan.verify)
        self.outcome.violations = {DRAINED: [left] if left else [], **checked}
        return self.outcome


POSTPONED_SECONDS = 30.0  # by which an act may begin later than planned
DRAINED = "All jobs are done within the time after the last fault."
DUE = "SELECT count(*) FROM jobs WHERE state = 'queued' AND run_after <= statement_timestamp()"
__all__ = ["Outcome", "Plan", "begin", "play"]
