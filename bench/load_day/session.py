"""One load: the day, the steps, what is left, what the database says, the report."""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

from django.conf import settings
from django.db import connections

from bench.load_day import hours, report
from bench.load_day.figures import Run, Step, measure
from bench.load_day.script import THINK, Script, Trade
from bench.trade.logins import Logins
from bench.trade.play import ledger
from bench.trade.play.site import Site
from khaacho import sql

ROOT = Path(__file__).resolve().parents[2]
LOCUST = ("--headless", "--only-summary", "--stop-timeout", "30", "--loglevel", "WARNING")
SHOPS = 60  # that order at the same time, at most
STEP_FACTOR = 1000.0  # in a step nobody thinks for long, so that all that follows an order follows at its rate
JOBS_DUE = """
SELECT count(*) FROM jobs WHERE state = 'running' OR state = 'queued' AND run_after <= now()
"""
ORDERS = "SELECT id, order_number FROM orders WHERE id = ANY(%s)"
PAYMENTS = "SELECT id, reference FROM payments WHERE id = ANY(%s)"


@dataclass
class Session:
    """A running site, its trade, and the folder of this load's report."""

    options: argparse.Namespace
    trade: Trade
    folder: Path
    name: str
    steps: list[Step] = field(default_factory=list)

    @classmethod
    def open(cls, options: argparse.Namespace) -> "Session":
        """Read the market of the site. Raises OSError, ValueError, NotLoopback, Unexpected."""
        logins = cast("Logins", json.loads(options.logins.read_text()))
        site = Site(options.base_url)
        now = datetime.now(UTC)
        folder = options.report or Path("var/load") / f"{now:%Y-%m-%d_%H-%M-%S}"
        folder.mkdir(parents=True, exist_ok=True)
        secrets: Sequence[str] = settings.WHATSAPP_APP_SECRETS
        trade = Trade.of(site, logins, secrets[0] if secrets else "")
        return cls(options, trade, folder.resolve(), f"load-{now:%Y%m%d-%H%M%S}")

    def run(self) -> int:
        """Play, step, settle, verify, write; return the exit code."""
        options, began = self.options, datetime.now(UTC)
        moments = hours.moments(options.orders, options.hours, options.seed)
        real = [moment / options.factor for moment in moments]
        _say(f"the day: {options.orders:,} orders in {real[-1]:.0f} s")
        day = self._play("day", real, options.factor)
        left = self._settle()
        for rate in _rates(options.steps):
            step = self._step(rate)
            self.steps.append(step)
            if step.troubles():
                break
        self._settle()
        told = ledger.read(self._ledger)
        _say("verifying the books")
        outcome = report.Outcome(
            began=f"{began:%Y-%m-%d %H:%M} UTC",
            options={
                "orders": options.orders,
                "hours": options.hours,
                "factor": options.factor,
                "seed": options.seed,
                "base_url": options.base_url,
            },
            day=day,
            busiest_minute=hours.busiest_minute(real),
            told={kind: len(rows) for kind, rows in told.items()},
            lost=_lost(told),
            jobs_left=left,
            verified=_verify(),
            steps=self.steps,
        )
        path = report.write(outcome, self.folder)
        print(path.read_text())
        _say(f"the report is {path}")
        return 1 if outcome.troubles() else 0

    @property
    def _ledger(self) -> Path:
        return self.folder / "acknowledged.jsonl"

    def _step(self, rate: float) -> Step:
        seconds = self.options.step_seconds
        _say(f"{rate:g} orders a second for {seconds:g} s")
        moments = hours.steadily(max(1, int(rate * seconds)), rate)
        run = self._play(f"step-{rate:g}", moments, STEP_FACTOR, until=seconds)
        return Step(rate, seconds, run, _jobs_due())

    def _play(
        self, name: str, moments: Sequence[float], factor: float, until: float | None = None
    ) -> Run:
        """Draw the orders, let Locust play them, and measure what it saw."""
        prefix = f"{self.name}/{name}"
        errands = self.trade.errands(moments, seed=self.options.seed, prefix=prefix)
        place, samples = self.folder / f"{name}.script.json", self.folder / f"{name}.samples.jsonl"
        Script(
            errands=errands,
            factor=factor,
            since=datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            prefix=prefix,
            samples=str(samples),
            ledger=str(self._ledger),
            until=until,
            quiet=self.options.quiet_seconds,
            think=THINK,
            **self.trade.people(),
        ).write(place)
        users = SHOPS + len(self.trade.cast.vendors) + 2
        command = [sys.executable, "-m", "locust", "-f", "bench/load_day/locustfile.py", *LOCUST]
        command += ["--host", self.options.base_url, "--users", str(users)]
        log = self.folder / f"{name}.log"
        with log.open("w") as output:
            # Its exit code says whether a request failed, which the samples say as well.
            subprocess.run(  # noqa: S603 - our own command
                [*command, "--spawn-rate", str(users)],
                env={**os.environ, "KHAACHO_LOAD_SCRIPT": str(place)},
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        place.unlink()  # it holds passwords
        if not samples.exists():
            raise OSError(f"Locust measured nothing; its log: {log}")
        return measure(samples)

    def _settle(self) -> int:
        """Wait while the workers do what is due; return what is left once they have done nothing for a while."""
        _say("waiting for the workers")
        left, moved = _jobs_due(), time.monotonic()
        while left and time.monotonic() - moved < self.options.idle_seconds:
            time.sleep(0.5)
            if (now := _jobs_due()) != left:
                left, moved = now, time.monotonic()
        return left


def _rates(text: str) -> list[float]:
    return [float(part) for part in text.split(",") if part.strip()]


def _jobs_due() -> int:
    row = sql.fetch_one(JOBS_DUE)
    connections.close_all()
    return int(row[0]) if row else 0


def _lost(told: dict[str, dict[int, dict[str, object]]]) -> list[str]:
    """Say which acknowledged orders and payments the database does not have."""
    found = []
    for kind, statement, name in (
        ("order", ORDERS, "order_number"),
        ("payment", PAYMENTS, "reference"),
    ):
        there = dict(sql.fetch(statement, [list(told[kind])]))
        found += [
            f"{kind} {row[name]} was acknowledged; the database has {there.get(pk, 'nothing')}"
            for pk, row in told[kind].items()
            if there.get(pk) != row[name]
        ]
    return found


def _verify() -> bool:
    connections.close_all()
    command = [sys.executable, "manage.py", "verify"]
    done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own command
    return done.returncode == 0


def _say(text: str) -> None:
    print(f"[load] {text}", file=sys.stderr, flush=True)
