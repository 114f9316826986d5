"""The parts of a run from the command line: faults under load, then concurrency, then two beats."""

import argparse
import logging
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from bench.chaos import beats, concurrency, kinds, report
from bench.chaos.play import Plan, begin, play
from bench.chaos.servers import Servers
from bench.chaos.stage import Stage
from bench.chaos.timeline import Act
from bench.harness.results import ROOT
from deploy.local.files import say
from deploy.local.services import Services

WIDTH = 150  # of a log, which has none of its own
CONCURRENCY = 3
LOGS = ROOT / "var" / "log" / "chaos"


def run(
    home: Path,
    servers: Servers,
    services: Services,
    arguments: argparse.Namespace,
    acts: Sequence[Act],
) -> int:
    """Play, measure, print and write; 0 when everything holds."""
    for name in ("httpx", "khaacho"):
        logging.getLogger(name).setLevel(logging.ERROR)
    kinds.register()
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    stage = Stage(home, servers, services, arguments.lease)
    chosen = Plan(
        acts,
        arguments.seconds,
        arguments.seed,
        rate=arguments.rate,
        drain_seconds=arguments.drain,
    )
    crowd = slots = None
    with stage.torn_down():
        begin(stage, say)
        outcome = play(stage, chosen, say)
        stage.stop()
        if arguments.jobs:
            crowd = concurrency.crowd(stage, count=arguments.jobs, concurrency=CONCURRENCY, say=say)
        if arguments.beats:
            slots = beats.two_beats(stage, seconds=arguments.beats, say=say)
    found = report.document(outcome, crowd, slots)
    report.show(console, found)
    parts = [part for part in (crowd, slots) if part]
    for part in parts:
        console.print(f"{'holds' if part.holds else 'VIOLATED'}: {part}", highlight=False)
    if arguments.json:
        report.write(arguments.json, found)
    if arguments.svg:
        report.draw(arguments.svg, found)
    holds = outcome.holds and all(part.holds for part in parts)
    if not holds:
        _keep_logs(console, home)
    return 0 if holds else 1


def _keep_logs(console: Console, home: Path) -> None:
    """Copy the logs, which would go with the run."""
    LOGS.mkdir(parents=True, exist_ok=True)
    for log in home.glob("*.log"):
        shutil.copyfile(log, LOGS / log.name)
    console.print(f"the logs are in {LOGS.relative_to(ROOT)}/")
