"""What a Celery worker does with its jobs when it is told to stop: it waits a while, then has them handed back."""

import logging
import os
import threading
from contextlib import suppress
from typing import Any

from celery import bootsteps
from django.conf import settings

from khaacho.jobs import interrupting

log = logging.getLogger(__name__)


class FarewellStep(bootsteps.StartStopStep):
    """Stops before the pool does, which would wait for its jobs for ever."""

    requires = ("celery.worker.components:Pool",)

    def stop(self, worker: Any) -> None:
        """Begin to count JOB_GRACE_SECONDS; the pool waits for its processes meanwhile."""
        pool = worker.pool._pool
        processes = list(pool._pool) if pool is not None else []
        timer = threading.Timer(settings.JOB_GRACE_SECONDS, _hand_back, (processes,))
        timer.daemon = True
        timer.start()


def _hand_back(processes: list[Any]) -> None:
    log.warning("worker.hands_back")
    for process in processes:
        if process._popen is not None and process._popen.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(process.pid, interrupting.SIGNAL)
