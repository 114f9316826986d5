"""Gunicorn as every site runs it; the variables are explained in .env.example, the manners in docs/configuration.md.

Told to stop, it first says so: /readyz answers 503 and answers close their connections, for WEB_DRAIN_SECONDS in
which the proxy before it notices and everything is still served. Then it takes no more, finishes what it has,
and closes the pool. A second SIGTERM ends the waiting. SIGHUP replaces the workers one generation by the
next, on one socket, so that there is nothing to announce.
"""

import mmap
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from khaacho.configuration import Environment

_env = Environment()
bind = f"{_env.text('WEB_HOST', '127.0.0.1')}:{_env.whole('PORT', 8000, least=1, most=65_535)}"
workers = _env.whole("WEB_CONCURRENCY", 2, least=1)
threads = _env.whole("WEB_THREADS", 4, least=1)
graceful_timeout = _env.whole("WEB_GRACE_SECONDS", 30, least=1)  # that requests have to finish
drain_seconds = _env.number("WEB_DRAIN_SECONDS", 5.0)
_env.stop_if_wrong()

worker_class = "gthread"
preload_app = True  # the code is read once and shared
max_requests = 20_000  # bounds what a leak can take
max_requests_jitter = 2_000  # never all workers at once
timeout = 60
keepalive = 5  # seconds; a proxy before it must let go of idle connections earlier
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - heartbeats
control_socket_disable = True  # it would be one for all checkouts of a user


def when_ready(server: Any) -> None:
    """Let SIGTERM announce the end before it comes. The arbiter shares one byte with all its workers."""
    server.stopping = mmap.mmap(-1, 1)
    stop = server.handle_term

    def announce() -> None:
        is_replaced = server.reexec_pid  # by a new master on the same socket, which is ready
        if server.stopping[0] or is_replaced or not drain_seconds:
            server.stopping[0] = not is_replaced
            stop()
            return
        server.stopping[0] = 1
        server.log.info("Not ready any more; stopping in %g s", drain_seconds)
        again = threading.Timer(drain_seconds, server.SIG_QUEUE.put_nowait, (signal.SIGTERM,))
        again.daemon = True
        again.start()

    server.handle_term = announce


def pre_fork(server: Any, worker: Any) -> None:
    worker.stopping = server.stopping


def post_worker_init(worker: Any) -> None:
    """Let a worker that takes no more connections refuse them; gunicorn would have them wait for its end."""
    switch = worker.set_accept_enabled

    def set_accept_enabled(enabled: bool) -> None:
        switch(enabled)
        if enabled or worker.alive:
            return
        for listener in worker.sockets:
            if worker.stopping[0]:
                _take_all(worker, listener)  # there are no other workers who would
            listener.close()

    worker.set_accept_enabled = set_accept_enabled


def _take_all(worker: Any, listener: Any) -> None:
    """Take the connections that the system made for us already."""
    taken = -1
    while taken < worker.nr_conns:
        taken = worker.nr_conns
        worker.accept(listener)


def pre_request(worker: Any, req: Any) -> None:
    """Once the end is announced, say so to who asks, and keep no connection.

    One that is near its last request keeps none either: what is idle when it ends, a client asks on in vain.
    """
    if worker.nr > worker.max_requests - worker.max_requests // 20:
        worker.max_keepalived = 0
    if worker.stopping[0]:
        from monitoring import health  # noqa: PLC0415 - Django is set up in workers only

        worker.max_keepalived = 0
        health.start_draining()


def worker_exit(server: Any, worker: Any) -> None:
    """Say the last words and close the pools, whose connections would else end without a goodbye."""
    if worker.pid != os.getpid() or not worker.booted:
        return  # the arbiter, which buries a worker that was killed
    from django.db import connections  # noqa: PLC0415 - see above

    from khaacho import origins  # noqa: PLC0415

    origins.end_process()
    for alias in connections:
        connection: Any = connections[alias]
        connection.close()
        connection.close_pool()
