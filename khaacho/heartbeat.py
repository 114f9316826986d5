"""A node's sign of life: a thread of its own, so that neither a busy nor an idle worker forgets it."""

import logging
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial
from typing import Any

from celery import bootsteps
from django.db import Error, connections

from khaacho.jobs.nodes import REPORT_SECONDS, Node

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5  # to a database that does not answer
LEAVE_SECONDS = 3.0  # that stopping waits for the row to go


class Heartbeat(threading.Thread):
    """Reports a node every ten seconds until it is stopped, and then takes it off the list.

    Each report has a connection that lives as long as the report. It is a local variable: a process
    forked at that moment inherits it unused, and does not say goodbye on it as it would on Django's.
    A database that is away is a line in the log.
    """

    def __init__(self, node: Node) -> None:
        super().__init__(name="heartbeat", daemon=True)
        self.node = node
        self.stopped = threading.Event()

    def run(self) -> None:
        is_new = True
        while True:
            if self._say(partial(self.node.report, is_new=is_new)):
                is_new = False
            if self.stopped.wait(REPORT_SECONDS):
                break
        self._say(self.node.leave)

    def stop(self) -> None:
        """End the thread; a database that hangs delays this by three seconds at most."""
        self.stopped.set()
        self.join(LEAVE_SECONDS)

    def _say(self, what: Callable[..., None]) -> bool:
        try:
            own = connections["default"].copy()
            own.settings_dict["OPTIONS"]["connect_timeout"] = CONNECT_SECONDS
            with closing(own):
                what(using=own)
        except Error as error:
            log.warning("heartbeat.failed", extra={"error": repr(error)[:200]})
            return False
        return True


class HeartbeatStep(bootsteps.StartStopStep):
    """Celery's worker starts and stops it in its main process, which does no jobs itself."""

    requires = ("celery.worker.components:Pool",)
    heartbeat: Heartbeat | None = None

    def start(self, worker: Any) -> None:
        queues = sorted(worker.app.amqp.queues.consume_from)
        self.heartbeat = Heartbeat(Node(worker.hostname, queues, worker.concurrency))
        self.heartbeat.start()

    def stop(self, worker: Any) -> None:
        if self.heartbeat:
            self.heartbeat.stop()
