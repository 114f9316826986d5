"""What a run says for itself: faults and what followed, orders by the second, what was violated."""

import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.chaos.beats import Slots
from bench.chaos.concurrency import Crowd
from bench.chaos.play import Outcome
from bench.chaos.timeline import Act
from bench.harness import plots

BLOCKS = "▁▂▃▄▅▆▇█"
COLUMNS = 100  # of the chart
FOLLOWS = 3.0  # seconds after a fault that still count as its consequence


def by_second(outcome: Outcome) -> list[int]:
    """Return how many orders were acknowledged in each second."""
    moments = [moment for moment, _ in outcome.ledger.moments]
    counts = [0] * (int(max(moments, default=0)) + 1)
    for moment in moments:
        counts[int(moment)] += 1
    return counts


def chart(counts: list[int]) -> str:
    """Return a line of blocks, one for each of at most COLUMNS spans of equal length."""
    width = -(-len(counts) // COLUMNS)
    spans = [counts[i : i + width] for i in range(0, len(counts), width)]
    means = [sum(span) / len(span) for span in spans]
    most = max(means, default=0) or 1
    return "".join(BLOCKS[min(7, int(mean / most * 7.999))] for mean in means)


def consequence(outcome: Outcome, act: Act) -> dict[str, Any]:
    """Return what clients saw of an act: orders, failed sends, the longest wait for an order."""
    until = act.until + FOLLOWS
    moments = outcome.ledger.moments
    waits = [took for moment, took in moments if act.at <= moment <= until]
    failed = [f for f in outcome.ledger.failures if act.at <= f.ended and f.begun <= until]
    return {
        "at": round(act.at, 1),
        "fault": act.fault.name,
        "seconds": round(act.seconds, 1),
        "orders": len(waits),
        "failed_sends": len(failed),
        "longest_wait": round(max(waits, default=0.0), 2),
    }


def document(outcome: Outcome, crowd: Crowd | None, slots: Slots | None) -> dict[str, Any]:
    """Return everything as JSON's types."""
    waits = sorted(took for _, took in outcome.ledger.moments)
    return {
        "seed": outcome.plan.seed,
        "seconds": outcome.plan.seconds,
        "orders": len(outcome.ledger.orders),
        "orders_per_second": by_second(outcome),
        "wait_median": round(statistics.median(waits), 3) if waits else None,
        "wait_p95": round(waits[int(len(waits) * 0.95)], 3) if waits else None,
        "failed_sends": len(outcome.ledger.failures),
        "delivered": len(outcome.ledger.delivered),
        "payments": len(outcome.ledger.paid),
        "counted_jobs": len(outcome.ledger.notes),
        "faults": [
            {**consequence(outcome, act), "said": said}
            for act, said in zip(outcome.acts, outcome.said, strict=True)
        ],
        "due_jobs": outcome.depths,
        "drained_seconds": round(outcome.drained, 1),
        "violations": outcome.violations,
        "crowd": asdict(crowd) if crowd else None,
        "slots": asdict(slots) if slots else None,
    }


def show(console: Console, found: dict[str, Any]) -> None:
    """Print the faults, the chart and every expectation."""
    table = Table("second", "fault", "lasted", "orders", "failed sends", "longest wait", "")
    for act in found["faults"]:
        table.add_row(
            f"{act['at']:.1f}",
            act["fault"],
            f"{act['seconds']:.1f} s",
            str(act["orders"]),
            str(act["failed_sends"]),
            f"{act['longest_wait']:.2f} s",
            act["said"],
        )
    console.print(table)
    console.print(f"orders by the second  {chart(found['orders_per_second'])}")
    console.print(
        f"{found['orders']} orders ({found['failed_sends']} sends failed and were repeated),"
        f" {found['delivered']} delivered, {found['payments']} payments,"
        f" {found['counted_jobs']} counted jobs; median wait {found['wait_median']} s,"
        f" p95 {found['wait_p95']} s; drained {found['drained_seconds']} s after the load"
    )
    for rule, violations in found["violations"].items():
        console.print(f"[{'red]VIOLATED' if violations else 'green]holds'}[/] {rule}")
        for violation in violations[:5]:
            console.print(f"    {violation}", style="red", markup=False)
        if len(violations) > 5:
            console.print(f"    and {len(violations) - 5} more", style="red")


def draw(path: Path, found: dict[str, Any]) -> None:
    """Write orders by the second, and the jobs that were due, as SVG."""
    orders = [(float(n), float(count)) for n, count in enumerate(found["orders_per_second"])]
    series = {"orders acknowledged": orders, "jobs due": found["due_jobs"]}
    path.write_text(
        plots.lines(
            "Through the faults", "second of the run", "per second", series, logarithmic=False
        )
    )


def write(path: Path, found: dict[str, Any]) -> None:
    path.write_text(json.dumps(found, indent=1, default=str) + "\n")
