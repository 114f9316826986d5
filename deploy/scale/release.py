"""A release with a migration of a hot table, brought out by deploy/release.sh while the site works."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import psycopg

from deploy.local.checks import MANAGE
from deploy.local.environment import PYTHON
from deploy.local.files import read, say
from deploy.local.processes import run
from deploy.scale import databases, site
from deploy.scale.pulse import Pulse
from deploy.scale.site import WEB, Site

NAME = "next"
# Static files were collected at the demo's start, and the books are verified when all is over.
SKIPPED = ("static", "verify", *os.environ.get("SCALE_RELEASE_SKIP", "").split())
WORKERS = os.environ.get("SCALE_RELEASE_WORKERS", " ".join(site.QUEUES))
SETTLE_SECONDS = 1.0  # of requests before and after
GIVES_WAY = 2  # times that the migration must, before the report that reads the table ends
REPORT_SECONDS = 60.0  # that the report reads at most: then something did not give way
MIGRATES = "release: migrate:"  # what release.sh says before
IS_OUT = "SELECT count(*) FROM django_migrations WHERE app = 'window'"
COLUMN = """
SELECT count(*) FROM pg_attribute WHERE attrelid = 'orders'::regclass AND attname = 'delivery_window'
"""


@dataclass
class Release:
    """From release `this` to `next`. `said` is what happened."""

    site: Site
    said: list[str] = field(default_factory=list)
    _report_over: threading.Event = field(default_factory=threading.Event)
    _is_given_up: threading.Event = field(default_factory=threading.Event)
    _process: subprocess.Popen[str] | None = None

    @property
    def next(self) -> Site:
        return replace(self.site, release=NAME)

    def bring_out(self) -> list[str]:
        """Bring it out under requests that are sent once each; return what went wrong."""
        if self._is_given_up.is_set():
            return ["interrupted"]
        layout, addresses = self.site.layout, self.site.addresses
        read_before = databases.lists_read(addresses.replica)
        pulse = Pulse(addresses.edge, json.loads(read(layout.logins)))
        begun = time.monotonic()
        with pulse.beating():
            time.sleep(SETTLE_SECONDS)
            code, gave_way = self._run()
            time.sleep(SETTLE_SECONDS)
        lists = databases.lists_read(addresses.replica) - read_before
        count = sum(pulse.counts.values())
        self._say(
            f"{NAME} is out after {time.monotonic() - begun:.0f} s: the migration gave way {gave_way} times to a"
            " report that read its table"
        )
        self._say(
            f"meanwhile {count} requests, {len(pulse.failures)} failed, the longest waited"
            f" {pulse.slowest * 1000:.0f} ms ({pulse.slowest_was}); {lists} lists were read from the replica"
        )
        wrong = {
            f"exit code {code}": code != 0,
            "nothing was asked meanwhile": min(pulse.counts["GET"], pulse.counts["POST"]) == 0,
            "no list was read from the replica": lists == 0,
            "the migration did not give way to the report": gave_way < GIVES_WAY,
            "the column of the release is missing": _number(addresses.primary, COLUMN) != 1,
        }
        troubles = [what for what, is_so in wrong.items() if is_so] + pulse.failures
        restarted = {f"web-{n}" for n in WEB} | {f"worker-{name}" for name in WORKERS.split()}
        restarted |= {"beat"} - set(SKIPPED)
        others = restarted.intersection(self.next.others())
        return troubles + [f"{name} is not of the release {NAME}" for name in sorted(others)]

    def give_up(self) -> None:
        """End it, from another thread: the demo is interrupted."""
        self._is_given_up.set()
        self._report_over.set()
        if self._process:
            self._process.terminate()

    def take_back(self) -> int:
        """Take the migrations of an earlier run back, once every process is of `this`; return the exit code."""
        if not _number(self.site.addresses.primary, IS_OUT):
            return 0
        say("taking back what an earlier run's release added")
        command = [*MANAGE, "migrate_live", "window", "zero"]
        return run(command, environ=self.next.commands(), cwd=self.site.layout.checkout)

    def _run(self) -> tuple[int, int]:
        """Run deploy/release.sh; return its exit code, and how often its migrations gave way."""
        gave_way = 0
        with (
            ExitStack() as report,
            subprocess.Popen(
                ["sh", "deploy/release.sh", *(f"--skip={step}" for step in SKIPPED), NAME],
                cwd=self.site.layout.checkout,
                env=self._environ(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ) as self._process,
        ):
            assert self._process.stdout
            for line in self._process.stdout:
                say(f"  {line.rstrip()}")
                if line.startswith(MIGRATES):
                    report.enter_context(self._report())
                gave_way += " gave way after " in line
                if gave_way >= GIVES_WAY:
                    self._report_over.set()
        return self._process.returncode, gave_way

    def _environ(self) -> Mapping[str, str]:
        layout = self.site.layout
        restart = f"{PYTHON} -m deploy.scale restart"
        return {
            **self.next.commands(),
            "SCALE_NAME": layout.name,
            "SCALE_RELEASE": NAME,
            "MANAGE": " ".join(MANAGE),
            "PORTS": " ".join(str(site.web_port(layout, number)) for number in WEB),
            "DRAINING": str(layout.draining),
            "RESTART": restart,
            "RESTART_WORKER": f"{restart}-worker",
            "RESTART_BEAT": f"{restart}-beat",
            "WORKERS": WORKERS,
        }

    @contextmanager
    def _report(self) -> Iterator[None]:
        """Read the orders in one long transaction until the migration has given way to it."""
        is_reading = threading.Event()
        report = threading.Thread(target=self._read, args=(is_reading,))
        report.start()
        is_reading.wait()
        try:
            yield
        finally:
            self._report_over.set()
            report.join()

    def _read(self, is_reading: threading.Event) -> None:
        url = self.site.addresses.primary
        try:
            with psycopg.connect(url, application_name="a long report") as connection:
                connection.execute(
                    "SET idle_in_transaction_session_timeout = 0"
                )  # it is no request
                connection.execute("SELECT count(*), sum(total) FROM orders")
                is_reading.set()
                self._report_over.wait(REPORT_SECONDS)
        finally:
            is_reading.set()

    def _say(self, text: str) -> None:
        self.said.append(text)
        say(text)


def _number(database_url: str, statement: str) -> int:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(statement).fetchone()
    assert row
    return int(row[0])
