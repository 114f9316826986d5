"""Gunicorn: two processes of four threads, replaced now and then."""
# ruff: noqa: N999 - Gunicorn's own name for it

import os

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = int(os.environ.get("WEB_CONCURRENCY", "2"))
worker_class = "gthread"
threads = 4
preload_app = True  # the code is read once and shared
max_requests = 20_000  # bounds what a leak can take
max_requests_jitter = 2_000  # never all workers at once
timeout = 60
graceful_timeout = 30
keepalive = 5
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 - heartbeats
control_socket_disable = True  # it would be one for all checkouts of a user
