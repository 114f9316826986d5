"""One run of `make bench`: the worlds are made, each part is measured in them, the results kept."""

import argparse
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit, urlunsplit

from django.conf import settings
from django.core.cache import cache
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench import load
from bench.harness import report, results, worlds
from bench.harness.findings import Bench, Findings
from bench.harness.results import Run
from bench.targets import (
    catalogue,
    database_pages,
    desk,
    indexes,
    jobs,
    ledger,
    memory,
    order_list,
    order_placing,
    poison,
    queue_stats,
    traffic,
)

MEASURES: Mapping[str, Callable[[Bench], Findings]] = {
    "plans": indexes.measure,
    "1": order_list.measure,
    "2": order_placing.measure,
    "3": catalogue.measure,
    "4": ledger.measure,
    "5": desk.measure,
    "10": database_pages.measure,
    "6b": queue_stats.measure,
    "http": traffic.measure,
    "6": jobs.measure,
    "6c": poison.measure,
    "8": memory.measure,
}
WIDTH = 170  # of a log, which has none of its own
BROKER_DATABASE = 1  # of Redis: pointers to jobs of these databases are nobody else's


def run(arguments: argparse.Namespace) -> int:
    """Measure what the command line asks for and write it down; return the exit code.

    What was measured before something failed is written too.
    """
    console = Console() if sys.stdout.isatty() else Console(width=WIDTH)
    prepare()
    here = Run.here(arguments.sizes)
    findings: list[Findings] = []
    try:
        with (
            _progress(console, len(arguments.only)) as (advance, say),
            worlds.several(arguments.sizes, load.fill, say, keep=arguments.keep) as made,
        ):
            bench = Bench(
                worlds=made,
                requests=arguments.requests,
                load=arguments.load,
                soak=arguments.soak,
                jobs=arguments.jobs,
                say=say,
            )
            for finding in measure(bench, arguments.only):
                findings.append(finding)
                advance()
    finally:
        found = [result for finding in findings for result in finding.results]
        if arguments.output:
            results.write(arguments.output, here, found)
        if arguments.report:
            report.write(arguments.report, here, findings)
        show(console, found)
    return int(arguments.check and any(result.met is False for result in found))


def prepare() -> None:
    """Serve the reference too, count requests no more than it does, and keep messages to ourselves."""
    settings.ROOT_URLCONF = "bench.reference.urls"
    settings.RATE_LIMITED = False
    settings.SOURCES_SECONDS = 0  # counted, but published nowhere: home has no tables
    parts = urlsplit(settings.REDIS_URL)
    if not settings.CELERY_BROKER_URL or settings.CELERY_BROKER_URL == settings.REDIS_URL:
        settings.CELERY_BROKER_URL = urlunsplit(parts._replace(path=f"/{BROKER_DATABASE}"))


def measure(bench: Bench, parts: Collection[str]) -> Iterator[Findings]:
    """Run the measurements in the order of MEASURES: what writes much comes last."""
    for name, part in MEASURES.items():
        if name in parts:
            cache.clear()  # what another world's pages left there
            yield part(bench)


@contextmanager
def _progress(
    console: Console, parts: int
) -> Iterator[tuple[Callable[[], None], Callable[[str], None]]]:
    bar = Progress(
        TextColumn("{task.description:60}"), BarColumn(), TimeElapsedColumn(), console=console
    )
    with bar:
        task: TaskID = bar.add_task("prepare", total=parts)

        def say(text: str) -> None:
            bar.update(task, description=text)
            if not console.is_terminal:
                console.print(text, highlight=False)

        yield lambda: bar.advance(task), say


def show(console: Console, found: list[results.Result]) -> None:
    """Print each figure with its reference and its goal."""
    lines = report.printed(found)
    table = Table(*(lines[0] if lines else {}))
    for line in lines:
        table.add_row(*line.values(), style="red" if line["verdict"] == "not met" else "")
    console.print(table)
    missed = sum(result.met is False for result in found)
    aimed = sum(result.met is not None for result in found)
    console.print(f"{aimed - missed} of {aimed} goals met")
