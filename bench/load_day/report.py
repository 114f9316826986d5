"""The dated report: figures as JSON, the story as Markdown, three plots."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.harness import plots
from bench.load_day.figures import ORDER_MS, READ_MS, Run, Step, Times, knee


@dataclass(frozen=True)
class Outcome:
    """All that a load found. `told` are acknowledged orders and payments, `lost` those that are not there."""

    began: str
    options: Mapping[str, Any]
    day: Run
    busiest_minute: int
    told: Mapping[str, int]
    lost: Sequence[str]
    jobs_left: int
    verified: bool
    steps: Sequence[Step]

    def troubles(self) -> list[str]:
        """Say what makes the load fail: losses, a red verify, the day's own limits. The knee is a finding, no trouble."""
        found = list(self.lost)
        if not self.verified:
            found.append("manage.py verify found differences")
        if self.day.orders.p95 > ORDER_MS:
            found.append(f"p95 of orders was {self.day.orders.p95:.0f} ms, {ORDER_MS:.0f} at most")
        if self.day.reads.p95 > READ_MS:
            found.append(f"p95 of reads was {self.day.reads.p95:.0f} ms, {READ_MS:.0f} at most")
        if self.day.failed:
            found.append(f"{self.day.failed} requests of the day failed")
        if not self.told["order"]:
            found.append("no order was acknowledged")
        return found


def write(outcome: Outcome, folder: Path) -> Path:
    """Write report.md, report.json and the plots into the folder; return the report's path."""
    (folder / "report.json").write_text(json.dumps(_json(outcome), indent=2) + "\n")
    names = []
    for name, picture in _plots(outcome).items():
        (folder / f"{name}.svg").write_text(picture)
        names.append(name)
    path = folder / "report.md"
    path.write_text(_markdown(outcome, names), encoding="utf-8")
    return path


def _json(outcome: Outcome) -> dict[str, Any]:
    rate, why = knee(outcome.steps)
    steps = [{**asdict(s), "served": s.served, "troubles": s.troubles()} for s in outcome.steps]
    whole = {**asdict(outcome), "steps": steps, "machine": machine()}
    return {**whole, "knee": {"rate": rate, "why": why}, "troubles": outcome.troubles()}


def machine() -> str:
    """Say what ran it, in a line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GB, Python {platform.python_version()}"


def _plots(outcome: Outcome) -> dict[str, str]:
    found: dict[str, str] = {}
    if outcome.day.minutes:
        found["day"] = plots.lines(
            "The day: p95",
            "seconds",
            "ms",
            {
                "reads": [(at, reads) for at, reads, _ in outcome.day.minutes],
                "orders": [(at, orders) for at, _, orders in outcome.day.minutes],
            },
            logarithmic=False,
        )
    if outcome.steps:
        found["knee-ms"] = plots.lines(
            "More load: p95",
            "orders a second, offered",
            "ms",
            {
                "reads": [(s.offered, s.run.reads.p95) for s in outcome.steps],
                "orders": [(s.offered, s.run.orders.p95) for s in outcome.steps],
            },
            logarithmic=False,
        )
        found["knee-served"] = plots.lines(
            "More load: orders answered",
            "orders a second, offered",
            "orders a second",
            {"answered": [(s.offered, s.served) for s in outcome.steps]},
            logarithmic=False,
        )
    return found


def _markdown(outcome: Outcome, pictures: Sequence[str]) -> str:
    day, options = outcome.day, outcome.options
    real = options["hours"] * 3600 / options["factor"]
    lines = [
        f"# A trading day, {outcome.began}",
        "",
        f"{options['orders']:,} orders of {options['hours']:g} hours in {real:.0f} s, on {machine()}.",
        "",
        f"In the busiest minute {outcome.busiest_minute} orders were placed.",
        "",
        "| | |",
        "|---|---|",
        f"| requests | {day.requests:,} in {day.seconds:.0f} s, {day.failed} failed |",
        f"| acknowledged | {outcome.told['order']:,} orders, {outcome.told['payment']:,} payments |",
        f"| of these missing in the database | {len(outcome.lost)} |",
        f"| jobs not done at the end | {outcome.jobs_left} |",
        f"| `manage.py verify` | {'clean' if outcome.verified else '**differences**'} |",
        f"| p95 of reads | {day.reads.p95:.0f} ms (limit {READ_MS:.0f}) |",
        f"| p95 of order creation | {day.orders.p95:.0f} ms (limit {ORDER_MS:.0f}) |",
        f"| the players were late by | {day.late:.1f} s at most |",
        "",
        *(f"**{trouble}**\n" for trouble in outcome.troubles()),
        "## Requests of the day",
        "",
        "| request | count | failed | p50 ms | p95 ms | p99 ms | most ms |",
        "|---|--:|--:|--:|--:|--:|--:|",
        *(_row(name, times) for name, times in day.kinds.items()),
        "",
        *_knee(outcome.steps),
        *(f"![{name}]({name}.svg)\n" for name in pictures),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, times: Times) -> str:
    figures = " | ".join(f"{ms:.0f}" for ms in (times.p50, times.p95, times.p99, times.most))
    return f"| {name} | {times.count:,} | {times.failed} | {figures} |"


def _knee(steps: Sequence[Step]) -> list[str]:
    if not steps:
        return []
    rate, why = knee(steps)
    said = f"All was well at {rate:g} orders a second with what follows them"
    said += f"; at the next step {', '.join(why)}." if why else ", the most that was tried."
    return [
        "## The knee",
        "",
        said,
        "",
        "| orders/s offered | answered | p95 orders ms | p95 reads ms | failed | jobs waiting after it |",
        "|--:|--:|--:|--:|--:|--:|",
        *(
            f"| {s.offered:g} | {s.served:.1f} | {s.run.orders.p95:.0f} | {s.run.reads.p95:.0f} |"
            f" {s.run.failed} | {s.jobs_left} |"
            for s in steps
        ),
        "",
    ]
