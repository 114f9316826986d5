"""Direct mode: the table is worked without Celery or Redis, by a child that its parent watches.

The child does job after job and tells through a pipe which one it begins and how it ended. The parent
sweeps, reports the node, and kills the child when a job is over its hard limit; another child goes on.
So a job that never ends, or takes more memory than there is, costs its attempt and nothing else.
"""

import json
import logging
import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import IO, Any

from django.conf import settings
from django.db import Error, connections

from khaacho import jobs, origins
from khaacho.enums import Queue
from khaacho.jobs import Claim, Node, interrupting
from khaacho.jobs.nodes import REPORT_SECONDS

log = logging.getLogger(__name__)

IDLE_SECONDS = 1.0
SWEEP_SECONDS = 5.0
LOOK_SECONDS = 0.5  # that a signal or a hard limit may wait to be noticed
AGAIN_SECONDS = 1.0  # after a child that died
NO_MORE, BROKEN = 0, 1  # how a child exits


@dataclass
class Order:
    """What is to be done: of one queue or all, at most `limit` jobs, waiting for more or not."""

    queue: str | None = None
    limit: int | None = None
    waits: bool = True


@dataclass
class Tally:
    """What a run has come to."""

    done: int = 0
    failed: int = 0


def limit_memory() -> None:
    """Let this process's data not grow beyond JOB_MEMORY_MB: a job that wants more gets a MemoryError."""
    if settings.JOB_MEMORY_MB:
        most = settings.JOB_MEMORY_MB * 2**20
        resource.setrlimit(resource.RLIMIT_DATA, (most, most))


class Child:
    """The process that does the jobs; everything here runs in it."""

    def __init__(self, order: Order, told: IO[str]) -> None:
        self.order, self.told = order, told
        self.stopping = False
        self.parent = os.getppid()

    def work(self) -> int:
        """Do jobs until there are no more, the limit is reached or a signal comes; return the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        signal.signal(signal.SIGALRM, _interrupt)
        interrupting.listen()
        limit_memory()
        attempted = 0
        while self._goes_on and attempted != self.order.limit:
            claim = jobs.claim_next(self.order.queue)
            if claim:
                self._tell(asdict(claim))
                self._tell(_perform(claim))
                attempted += 1
            elif self.order.waits:
                self._idle()
            else:
                break
        return NO_MORE

    @property
    def _goes_on(self) -> bool:
        is_leaving = self.stopping or interrupting.is_leaving()
        return not is_leaving and os.getppid() == self.parent

    def _idle(self) -> None:
        until = time.monotonic() + IDLE_SECONDS
        while self._goes_on and time.monotonic() < until:
            time.sleep(0.1)

    def _stop(self, *_: object) -> None:
        self.stopping = True

    def _tell(self, what: object) -> None:
        self.told.write(json.dumps(what) + "\n")
        self.told.flush()


def _perform(claim: Claim) -> bool:
    """Do the job within its soft limit, which Celery would keep."""
    signal.setitimer(signal.ITIMER_REAL, claim.soft_limit)
    try:
        return jobs.perform(claim)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _interrupt(_: int, __: FrameType | None) -> None:
    raise TimeoutError("the job took longer than its soft limit")


@dataclass
class Parent:
    """Starts children, one at a time, and watches over them."""

    order: Order
    tally: Tally = field(default_factory=Tally)
    stopping: bool = False
    patience: float = float("inf")  # until when the last job may run
    pid: int = 0
    claim: Claim | None = None
    deadline: float = float("inf")

    def work(self) -> Tally:
        """Have the order carried out. Raises ChildProcessError when a child that must not wait broke."""
        handlers = {n: signal.signal(n, self._stop) for n in (signal.SIGTERM, signal.SIGINT)}
        duties = Duties(self.order)
        try:
            duties.attend()
            while not self.stopping and self._attempted != self.order.limit:
                code = self._one_child(duties)
                if code == NO_MORE:
                    break
                if not self.order.waits and code == BROKEN:
                    raise ChildProcessError("the process that does the jobs broke; see the log")
                time.sleep(AGAIN_SECONDS if code == BROKEN else 0)
        finally:
            duties.end()
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self.tally

    @property
    def _attempted(self) -> int:
        return self.tally.done + self.tally.failed

    def _one_child(self, duties: "Duties") -> int:
        """Start a child and watch it to its end; return its exit code, negative for a signal."""
        connections.close_all()  # not to be shared with a child
        reading, writing = os.pipe()
        left = None if self.order.limit is None else self.order.limit - self._attempted
        self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _be_child(Order(self.order.queue, left, self.order.waits), writing)
        os.close(writing)
        try:
            self._watch(reading, duties)
        finally:
            os.close(reading)
        code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        self.pid = 0
        if self.claim:
            self._bury(self.claim, code)
        return code

    def _watch(self, told: int, duties: "Duties") -> None:
        """Listen to the child until it ends; kill it when its job is over the hard limit."""
        buffer = b""
        while True:
            ready, _, _ = select.select([told], [], [], LOOK_SECONDS)
            if ready:
                chunk = os.read(told, 65536)
                if not chunk:
                    return
                *whole, buffer = (buffer + chunk).split(b"\n")
                for line in whole:
                    self._hear(json.loads(line))
            elif self._is_over():  # something that its job started may hold the pipe open
                return
            elif time.monotonic() > self.deadline:
                os.kill(self.pid, signal.SIGKILL)
                self.deadline = float("inf")
            if self.stopping:
                self._let_go()
            duties.attend()

    def _let_go(self) -> None:
        """Have the child begin nothing more; once its time is up, have it hand back what it does."""
        is_over = time.monotonic() > self.patience
        os.kill(self.pid, interrupting.SIGNAL if is_over else signal.SIGTERM)
        if is_over:
            self.patience = float("inf")

    def _is_over(self) -> bool:
        return os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _hear(self, told: Any) -> None:
        if isinstance(told, dict):
            self.claim = Claim(**told)
            self.deadline = time.monotonic() + self.claim.hard_limit
            return
        self.claim, self.deadline = None, float("inf")
        self.tally.done += told
        self.tally.failed += not told

    def _bury(self, claim: Claim, code: int) -> None:
        """Give back the job that the child died of."""
        self.claim, self.deadline = None, float("inf")
        self.tally.failed += 1
        error = f"the process that did this job ended with {code}: over its hard limit, or killed"
        _whatever_the_database(lambda: jobs.give_back(claim, error, stalls=1))

    def _stop(self, *_: object) -> None:
        self.stopping = True
        self.patience = time.monotonic() + settings.JOB_GRACE_SECONDS


class Duties:
    """What a parent does beside watching: the sweep, and the node's sign of life."""

    def __init__(self, order: Order) -> None:
        queues = [order.queue] if order.queue else list(Queue.values)
        self.node = Node(f"direct@{socket.gethostname()}:{os.getpid()}", queues, 1)
        self.swept_at = self.reported_at = float("-inf")

    def attend(self) -> None:
        """Do what is due. A database that is away is a line in the log."""
        now = time.monotonic()
        if now - self.swept_at >= SWEEP_SECONDS:
            self.swept_at = now
            _whatever_the_database(jobs.sweep)
        if now - self.reported_at >= REPORT_SECONDS:
            is_new = self.reported_at < 0
            self.reported_at = now
            _whatever_the_database(lambda: self.node.report(is_new=is_new))

    def end(self) -> None:
        """Take the node off the list."""
        _whatever_the_database(self.node.leave)


def _whatever_the_database(work: Callable[[], object]) -> None:
    try:
        for each in connections.all(initialized_only=True):
            if not each.in_atomic_block:
                each.close_if_unusable_or_obsolete()
        work()
    except Error as error:
        log.warning("direct.database_away", extra={"error": repr(error)[:200]})


def _be_child(order: Order, writing: int) -> None:
    """Work as the child, and never return into what the parent was doing."""
    code = BROKEN
    try:
        with os.fdopen(writing, "w") as told:
            code = Child(order, told).work()
        origins.end_process()
    except BaseException:
        log.exception("direct.child_broke")
    finally:
        os._exit(code)
