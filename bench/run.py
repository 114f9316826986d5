"""`make bench`: each target of docs/performance.md with its reference and ours, from one run.

CPU of the application is measured in this process (WSGI, without a network), alternating with the
reference in short rounds; PostgreSQL's cost is its own figure. Rates and percentiles over HTTP are
for information. Each size of trade has a database of its own, made for the run and dropped after it.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import django

from bench import load

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "bench" / "results.json"
REPORT = ROOT / "docs" / "performance.md"
SIZES = (10_000, 1_000_000)
ORDER_BYTES = 8_000  # with lines, ledger, indexes and what the run adds
LEAN_ORDER_BYTES = 4_000
BASE_BYTES = 4 * 2**30  # the write-ahead log, and a million open orders
# what → seconds that it takes on two cores, about, with the defaults
PARTS: Mapping[str, int] = {
    "plans": 30,
    "1": 60,
    "2": 90,
    "3": 20,
    "4": 40,
    "5": 60,
    "6": 60,
    "6b": 120,
    "6c": 330,
    "8": 180,
    "10": 40,
    "http": 90,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, write; exit 0, with --check 1 when a goal that was measured is not met."""
    arguments = _parser().parse_args(argv)
    if set(arguments.only) == set(PARTS):  # a part of the results would pass for all of them
        arguments.output = arguments.output or RESULTS
        arguments.report = arguments.report or REPORT
    if arguments.dry_run:
        print(plan(arguments))
        return 0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    from bench.session import run  # noqa: PLC0415 - models need django.setup()

    return run(arguments)


def room(argv: Sequence[str]) -> int:
    """Return the bytes that the servers of this command line need, beside those of the machine."""
    sizes: tuple[int, ...] = _parser().parse_args(argv).sizes
    return BASE_BYTES + sum(
        size * (LEAN_ORDER_BYTES if load.is_lean(size) else ORDER_BYTES) for size in sizes
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.run", description=__doc__)
    parser.add_argument(
        "--only", type=_parts, default=tuple(PARTS), help=f"of {','.join(PARTS)}; all by default"
    )
    parser.add_argument(
        "--sizes",
        type=_sizes,
        default=SIZES,
        help="orders in each database, as 10000,1000000,10000000; above two million a lean trade",
    )
    parser.add_argument("--requests", type=_count, default=400, help="calls of each competitor")
    parser.add_argument(
        "--load", type=_count, default=2_000, help="requests of each kind over HTTP"
    )
    parser.add_argument(
        "--soak",
        type=_count,
        default=24_000,
        help="requests of the memory test; 72000 is two hours' worth",
    )
    parser.add_argument("--jobs", type=_count, default=3_000, help="jobs of the memory test")
    parser.add_argument(
        "--output", type=Path, help=f"results as JSON; {RESULTS.name} when all is measured"
    )
    parser.add_argument(
        "--report", type=Path, help=f"as Markdown, with plots; {REPORT.name} when all is measured"
    )
    parser.add_argument(
        "--keep",
        action="store_true",
        help="use databases of an earlier run with it, and leave them",
    )
    parser.add_argument("--check", action="store_true", help="exit 1 when a goal is not met")
    parser.add_argument("--dry-run", action="store_true", help="say what would run")
    return parser


def _parts(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    if unknown := set(wanted) - set(PARTS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return wanted


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted({_count(part) for part in text.split(",")}))


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def plan(arguments: argparse.Namespace) -> str:
    """Say what would run and for how long. Touches nothing."""
    seconds = sum(PARTS[part] for part in arguments.only) + sum(arguments.sizes) // 9_000
    sizes = ", ".join(f"{size:,}" for size in arguments.sizes)
    written = [path for path in (arguments.output, arguments.report) if path]
    return (
        f"Would load trades of {sizes} orders into databases of their own, measure"
        f" {', '.join(arguments.only)}, and drop them: about {max(1, seconds // 60)} minutes.\n"
        f"Would write {' and '.join(str(path) for path in written) or 'nothing'}."
    )


if __name__ == "__main__":
    sys.exit(main())
