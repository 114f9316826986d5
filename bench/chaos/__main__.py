"""Break everything the site stands on while shops order, and see whether what was promised holds.

Runs on a PostgreSQL (with fsync) and a Redis of its own, with a real web server, two workers and two
beats; touches no other process. The same seed draws the same faults at the same seconds. Exit code 1
when an expectation is violated.
"""

import argparse
import os
import secrets
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import django

from bench.chaos import timeline
from bench.chaos.servers import Servers
from bench.harness.results import ROOT
from deploy.local.files import SetupError, say
from deploy.local.processes import exit_on_signals
from deploy.local.services import ephemeral_home

AROUND = 40.0  # seconds that servers, processes and the checks take


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(prog="python -m bench.chaos", description=__doc__)
    found.add_argument("--seconds", type=_positive, default=75.0, help="of load and faults (75)")
    found.add_argument("--seed", type=int, default=4, help="the same seed breaks the same (4)")
    found.add_argument(
        "--faults",
        type=_faults,
        default=tuple(timeline.FAULTS),
        help=f"of {','.join(timeline.FAULTS)}; all by default",
    )
    found.add_argument(
        "--persist",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="give Redis an append-only file, so that it comes back with what it had",
    )
    found.add_argument("--rate", type=_positive, default=6.0, help="orders a second (6)")
    found.add_argument("--lease", type=int, default=6, help="seconds of a job's lease (6)")
    found.add_argument(
        "--drain", type=_positive, default=60.0, help="seconds for what is left after the load (60)"
    )
    found.add_argument(
        "--jobs", type=int, default=10_000, help="small jobs to count concurrency by; 0 for none"
    )
    found.add_argument("--beats", type=float, default=0.0, help="seconds of two beats alone (0)")
    found.add_argument("--json", type=Path, help="write everything here")
    found.add_argument("--svg", type=Path, help="write the chart here")
    found.add_argument("--dry-run", action="store_true", help="say what would be broken when")
    return found


def _positive(text: str) -> float:
    number = float(text)
    if number <= 0:
        raise argparse.ArgumentTypeError("more than 0")
    return number


def _faults(text: str) -> tuple[str, ...]:
    wanted = tuple(text.split(","))
    if unknown := set(wanted) - set(timeline.FAULTS):
        raise argparse.ArgumentTypeError(f"there is no {', '.join(sorted(unknown))}")
    return wanted


def main(argv: Sequence[str] | None = None) -> int:
    """Play one run; 0 when every expectation holds."""
    arguments = parser().parse_args(argv)
    acts = timeline.draw(
        arguments.faults, seconds=arguments.seconds, seed=arguments.seed, lease=arguments.lease
    )
    if arguments.dry_run:
        print(plan(arguments, acts))
        return 0
    exit_on_signals()
    try:
        with ephemeral_home("chaos") as home:
            return _on_servers(home, arguments, acts)
    except SetupError as error:
        say(f"error: {error}")
        return 1


def plan(arguments: argparse.Namespace, acts: Sequence[timeline.Act]) -> str:
    """Say what would be broken when. Touches nothing."""
    lines = [
        f"{act.at:7.1f} s  {act.fault.name:14} {act.seconds:4.1f} s  {act.fault.what}"
        for act in acts
    ]
    seconds = arguments.seconds + arguments.beats + arguments.jobs / 150 + AROUND
    lines.append(
        f"{len(acts)} faults, seed {arguments.seed}; about {seconds / 60:.0f} minutes in all"
    )
    return "\n".join(lines)


def _on_servers(home: Path, arguments: argparse.Namespace, acts: Sequence[timeline.Act]) -> int:
    servers = Servers(home, persist=arguments.persist)
    try:
        services = servers.start()
        os.environ |= {
            "DJANGO_SETTINGS_MODULE": "khaacho.settings",
            "DATABASE_URL": services.database_url,
            "REDIS_URL": services.redis_url,
            "CACHE_URL": services.redis_url,
            "CELERY_BROKER_URL": services.redis_url,
            "SECRET_KEY": f"chaos-{secrets.token_urlsafe(48)}",
            "DEBUG": "false",
            "LOG_DIR": "",
            "LOG_LEVEL": "WARNING",
            "DB_POOL_MAX": "0",
        }
        say("migrating")
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--noinput", "-v0"], cwd=ROOT, check=True
        )
        django.setup()
        from bench.chaos.session import run  # noqa: PLC0415 - models need django.setup()

        return run(home, servers, services, arguments, acts)
    finally:
        servers.stop()


if __name__ == "__main__":
    sys.exit(main())
