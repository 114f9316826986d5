"""What was measured beside what was aimed at, and the document that keeps it."""

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class Rule(StrEnum):
    """What the goal bounds. FOR_INFORMATION: nothing, it is reported beside its reference."""

    RATIO_AT_MOST = "ratio at most"
    RATIO_AT_LEAST = "ratio at least"
    OURS_AT_MOST = "ours at most"
    FOR_INFORMATION = "for information"


@dataclass(frozen=True, kw_only=True)
class Result:
    """One figure of ours beside its reference, both of this run; `target` counts as in docs/performance.md.

    `ratio` is ours / reference. `reference` None: there is nothing to compare with, only a bound.
    """

    target: int
    name: str
    unit: str
    ours: float
    reference: float | None = None
    goal: float | None = None
    rule: Rule = Rule.FOR_INFORMATION
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.ours / self.reference if self.reference else None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None when there is no goal, False when its ratio is unknown."""
        if self.rule == Rule.FOR_INFORMATION or self.goal is None:
            return None
        if self.rule == Rule.OURS_AT_MOST:
            return self.ours <= self.goal
        if self.ratio is None:
            return False
        if self.rule == Rule.RATIO_AT_MOST:
            return self.ratio <= self.goal
        return self.ratio >= self.goal

    @property
    def verdict(self) -> str:
        """`met`, `not met`, or nothing where there is no goal."""
        return {True: "met", False: "not met", None: ""}[self.met]

    def as_json(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "name": self.name,
            "unit": self.unit,
            "reference": rounded(self.reference),
            "ours": rounded(self.ours),
            "ratio": rounded(self.ratio),
            "goal": rounded(self.goal),
            "met": self.met,
            "rule": str(self.rule),
            "note": self.note,
        }


@dataclass(frozen=True)
class Run:
    """Where, when and from which code the results are."""

    machine: str
    date: str
    commit: str
    sizes: tuple[int, ...]

    @classmethod
    def here(cls, sizes: Sequence[int]) -> "Run":
        """Describe this machine, this moment and this checkout."""
        return cls(_machine(), datetime.now(UTC).date().isoformat(), _commit(), tuple(sizes))


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.machine()},"
        f" Python {platform.python_version()}"
    )


def _commit() -> str:
    """Return the checkout's commit, marked when files differ from it; `unknown` without git."""
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return "unknown"
    return answer.stdout.strip() or "unknown"


def document(run: Run, results: Sequence[Result]) -> dict[str, Any]:
    """Return what results.json holds."""
    return {
        "machine": run.machine,
        "date": run.date,
        "commit": run.commit,
        "sizes": list(run.sizes),
        "results": [result.as_json() for result in results],
    }


def write(path: Path, run: Run, results: Sequence[Result]) -> None:
    path.write_text(json.dumps(document(run, results), indent=2, ensure_ascii=False) + "\n")


def rounded(value: float | None) -> float | None:
    """Return the value with four significant digits, whole numbers as they are."""
    if value is None or value == int(value):
        return value
    return float(f"{value:.4g}")


def shown(value: float | None) -> str:
    """Return the value for people: four digits, grouped; a dash for none."""
    if value is None:
        return "–"
    short = float(f"{value:.4g}")
    return f"{short:,.0f}" if short == int(short) else f"{short:,}"
