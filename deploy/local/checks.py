"""`make test` and `make check`: servers that live as long as the command, then what CI runs."""

import os
import shlex
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bench import run as benchmark
from deploy.local import environment, installs, redis_server
from deploy.local.environment import PYTHON
from deploy.local.files import Layout, say
from deploy.local.postgres import DATABASE
from deploy.local.processes import run
from deploy.local.services import ephemeral, scratch_database

# The first that is there. Chromium without windows costs a quarter less than Chromium that opens none.
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
MANAGE = (PYTHON, "manage.py")
CHECKS: dict[str, Sequence[str]] = {
    "ruff check": (PYTHON, "-m", "ruff", "check", "."),
    "ruff format": (PYTHON, "-m", "ruff", "format", "--check", "."),
    "mypy": (PYTHON, "-m", "mypy"),
    # Run through Python: the script's first line may be too long, or of another place.
    "import-linter": (PYTHON, str(Path(PYTHON).with_name("lint-imports"))),
    "makemigrations": (*MANAGE, "makemigrations", "--check", "--dry-run"),
    "lintmigrations": (*MANAGE, "lintmigrations"),
    "check --deploy": (*MANAGE, "check", "--deploy", "--fail-level", "WARNING"),
    # Of a database that the migrations have just made.
    "migrate": (*MANAGE, "migrate", "--noinput", "-v0"),
    "check_indexes": (*MANAGE, "check_indexes", "-v0"),
}


_CORES = os.cpu_count() or 1
MOST = ("-n", str(min(_CORES + 1, 4)), "--dist", "worksteal", "-m", "not processes or patient")
REST = ("-n", str(min(_CORES + 1, 3)), "--dist", "worksteal", "-m", "processes and not patient")


def _ensure_browser() -> None:
    """Install Chromium where we may; without it the tests that need one fail."""
    if any(shutil.which(name) for name in BROWSERS):
        return
    if not any(installs.from_debian(name) for name in BROWSERS[:2]):
        say("no Chromium here: tests that need a browser cannot run")


def test(layout: Layout) -> int:
    """Run the tests with ARGS, or all of them, and return pytest's exit code.

    All of them are run by one process more than there are cores, since some wait, but for those that start
    processes of their own and look at the clock, as patient ones do not. These come afterwards, three at
    once: they mostly wait. On a server of ours the database is migrated once and copied for each process.
    """
    _ensure_browser()
    redis_server.find_or_install()  # tests start servers of their own, even beside a REDIS_URL
    given = shlex.split(os.environ.get("ARGS", ""))
    rounds: list[Sequence[str]] = (
        [given] if given else [MOST, [*REST, *_files_with("processes", layout)]]
    )
    with ephemeral(os.environ, "test") as services:
        environ = environment.tests(layout, services)
        if not given and not os.environ.get("DATABASE_URL"):
            say("migrating the database that each process of the tests copies")
            if code := run(CHECKS["migrate"], environ=environ, cwd=layout.checkout):
                return code
            environ["TEST_DATABASE_TEMPLATE"] = DATABASE
        codes = [
            run([PYTHON, "-m", "pytest", *arguments], environ=environ, cwd=layout.checkout)
            for arguments in rounds
        ]
    return max(codes)


def _files_with(mark: str, layout: Layout) -> list[str]:
    """Return the test files that name a mark: to import all of them takes longer than these need to start."""
    tests = layout.checkout / "tests"
    return sorted(
        str(path.relative_to(layout.checkout))
        for path in tests.rglob("test_*.py")
        if f"mark.{mark}" in path.read_text()
    )


def check(layout: Layout) -> int:
    """Run every check, however the others end; return the number that failed."""
    failed = []
    with ephemeral(os.environ, "check") as servers, scratch_database(servers.database_url) as url:
        services = replace(servers, database_url=url)
        environ = environment.production(environment.tests(layout, services))
        for name, command in CHECKS.items():
            begun = time.monotonic()
            code = run(command, environ=environ, cwd=layout.checkout)
            say(f"{name}: {'FAILED' if code else 'ok'}, {time.monotonic() - begun:.1f} s")
            if code:
                failed.append(name)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return len(failed)


def bench(layout: Layout) -> int:
    """Measure with ARGS on servers of its own; return the measurement's exit code."""
    arguments = shlex.split(os.environ.get("ARGS", ""))
    with ephemeral(os.environ, "bench", benchmark.room(arguments)) as services:
        command = [PYTHON, "-m", "bench.run", *arguments]
        return run(command, environ=environment.tests(layout, services), cwd=layout.checkout)


def chaos(layout: Layout) -> int:
    """Break things with ARGS, on servers that the run starts and ends itself; return its exit code."""
    command = [PYTHON, "-m", "bench.chaos", *shlex.split(os.environ.get("ARGS", ""))]
    return run(command, environ=os.environ, cwd=layout.checkout)
