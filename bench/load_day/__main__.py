"""A trading day with Locust against a running site, then steps of load to its knee: python -m bench.load_day --help.

DATABASE_URL names the site's database: afterwards its books are verified and its orders compared with those that were
acknowledged. The site needs RATE_LIMITED=false, or the knee found is that of the rate limits: everybody here
has one address.
"""

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import django
import httpx

from bench.load_day import hours


def parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load_day", description=__doc__)
    parser.add_argument("--base-url", default="http://127.0.0.1:8000", help="where the site is")
    parser.add_argument(
        "--logins", type=Path, default=Path("var/demo.json"), help="who may sign in"
    )
    parser.add_argument("--orders", type=_positive, default=10_000, help="of the day (10000)")
    parser.add_argument("--hours", type=float, default=10.0, help="that the day has (10)")
    parser.add_argument(
        "--factor", type=float, default=20.0, help="how much faster it goes by (20)"
    )
    parser.add_argument("--seed", type=int, default=7, help="the same seed draws the same orders")
    parser.add_argument(
        "--steps",
        default="1,2,4,6,8,12,16,24",
        help="orders a second for the knee; nothing for none",
    )
    parser.add_argument("--step-seconds", type=float, default=30.0, help="of each step (30)")
    parser.add_argument(
        "--quiet-seconds",
        type=float,
        default=10.0,
        help="in which nothing moves: then the day is over (10)",
    )
    parser.add_argument(
        "--idle-seconds",
        type=float,
        default=7.0,
        help="in which no job is done or comes: then the workers are waited for no more; more than the 5 s"
        " between two sweeps (7)",
    )
    parser.add_argument("--report", type=Path, help="folder (var/load/DATE)")
    parser.add_argument("--dry-run", action="store_true", help="say what would be played")
    return parser.parse_args(argv)


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return number


def main(argv: Sequence[str] | None = None) -> int:
    """Play the day, find the knee, verify, report; 0 when nothing was lost and every limit was kept."""
    options = parse(argv)
    if options.dry_run:
        print(_plan(options))
        return 0
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    logging.getLogger("httpx").setLevel(logging.WARNING)
    from bench.load_day.session import Session  # noqa: PLC0415 - models need django.setup()
    from bench.trade.play.site import NotLoopback, Unexpected  # noqa: PLC0415

    try:
        return Session.open(options).run()
    except NotLoopback as error:
        print(error, file=sys.stderr)
    except (OSError, ValueError, KeyError) as error:
        print(f"{options.logins}: {error!r}", file=sys.stderr)
    except (Unexpected, httpx.HTTPError) as error:
        print(f"The site did not let the day begin: {error}", file=sys.stderr)
    return 1


def _plan(options: argparse.Namespace) -> str:
    moments = hours.moments(options.orders, options.hours, options.seed)
    real = [moment / options.factor for moment in moments]
    return (
        f"Would play {options.orders:,} orders of {options.hours:g} hours in"
        f" {options.hours * 3600 / options.factor:.0f} s,"
        f" {hours.busiest_minute(real)} in the busiest minute, against {options.base_url};"
        f" then steps of {options.steps or 'nothing'} orders a second, {options.step_seconds:g} s each."
    )


if __name__ == "__main__":
    sys.exit(main())
