"""What is killed during the day, once so much of it is acknowledged, and started again."""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from deploy.local.files import SetupError, read, say
from deploy.local.processes import Daemon, marked, send, wait_until
from deploy.scale import servers, work
from deploy.scale.site import QUEUES, Site, held, kill

AWAY_SECONDS = 1.0  # between the kill and the start, as a supervisor takes
POLL_SECONDS = 0.05
FROZEN_SECONDS = 0.1  # in which the server ends what it was sent before


@dataclass(frozen=True)
class Break:
    """A process to be killed when a share of the day's orders is acknowledged."""

    share: float
    name: str


# The worker first, while orders come and it always has a job.
BREAKS = (Break(0.2, "worker-trade"), Break(0.4, "web-1"), Break(0.6, "pgbouncer"))


@dataclass
class Breaking:
    """Kills beside the day, in a thread. `said` is what happened, `troubles` what should have.

    `jobs` are those in whose middle a worker was killed. `is_calm` is set after the last kill.
    """

    site: Site
    orders: int
    breaks: Sequence[Break] = BREAKS
    said: list[str] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)
    jobs: list[work.Job] = field(default_factory=list)
    is_calm: threading.Event = field(default_factory=threading.Event)
    _over: threading.Event = field(default_factory=threading.Event)

    def run(self, day: Callable[[], int]) -> int:
        """Run the day with its kills, and return the day's exit code."""
        before = self._answers()
        breaker = threading.Thread(target=self._break_until_done, args=(before,))
        breaker.start()
        try:
            return day()
        finally:
            self._over.set()
            breaker.join()

    def _answers(self) -> int:
        """Count the answers, those too that repeat an order of a round that was interrupted."""
        return read(self.site.layout.acknowledged).count('"kind": "order"')

    def _break_until_done(self, before: int) -> None:
        try:
            self._break_all(before)
        finally:
            self.is_calm.set()

    def _break_all(self, before: int) -> None:
        """Kill each at its time, whether those before it work again or not; return once all do."""
        with ThreadPoolExecutor(len(self.breaks)) as breakers:
            for broken in [breakers.submit(self._break_at, each, before) for each in self.breaks]:
                broken.result()

    def _break_at(self, each: Break, before: int) -> None:
        wanted = before + max(1, int(each.share * self.orders))
        while (count := self._answers()) < wanted:
            if self._over.wait(POLL_SECONDS):
                self.troubles.append(f"the day ended before {each.name} could be killed")
                return
        try:
            with held(self.site.layout, each.name):
                self._break(each, count - before)
        except SetupError as error:
            self.troubles.append(str(error))

    def _break(self, each: Break, count: int) -> None:
        layout = self.site.layout
        pooler = each.name == "pgbouncer"
        daemon = servers.pgbouncer_daemon(layout) if pooler else self._daemon(each.name)
        at_work = self._freeze_at_work(daemon, each.name.removeprefix("worker-"))
        victims = kill(daemon)
        died = time.monotonic()
        wait_until(self._over.is_set, AWAY_SECONDS)
        if pooler:
            servers.start_pgbouncer(layout)
        else:
            self.site.start_again(each.name)
        pids = ", ".join(map(str, victims))
        self._say(
            f"{each.name} killed (-9, {pids}) after {count} orders{at_work},"
            f" works again after {time.monotonic() - died:.1f} s"
        )

    def _freeze_at_work(self, daemon: Daemon, name: str) -> str:
        """Freeze a worker in the middle of a job, and say of which; nothing of what is no worker.

        Raises SetupError when the day ended before it was caught at one.
        """
        if name not in QUEUES:
            return ""
        pids = marked(daemon.mark)
        with work.watching(self.site.addresses.primary, QUEUES[name].split(",")) as watch:
            while not self._over.is_set():
                if job := watch.running():
                    send(pids, signal.SIGSTOP)
                    time.sleep(FROZEN_SECONDS)
                    if job == watch.running(job.id):
                        self.jobs.append(job)
                        return f" in the middle of job {job.id} ({job.kind})"
                    send(pids, signal.SIGCONT)
        raise SetupError(f"{daemon.name} was not caught in the middle of a job")

    def _daemon(self, name: str) -> Daemon:
        return Daemon(name, self.site.layout.run)

    def _say(self, text: str) -> None:
        self.said.append(text)
        say(text)
