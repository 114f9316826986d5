"""The Celery application: it carries pointers to jobs, PostgreSQL keeps the work (docs/adr)."""

import os
from typing import Any

from celery import Celery
from celery.signals import worker_process_init, worker_process_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")

app = Celery("khaacho")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["khaacho"])
app.steps["worker"].add("khaacho.heartbeat:HeartbeatStep")


@worker_process_init.connect
def _limit_memory(**_: Any) -> None:
    from khaacho.direct import limit_memory  # noqa: PLC0415 - the application is made before Django's

    limit_memory()


@worker_process_shutdown.connect
def _end_process(**_: Any) -> None:
    from khaacho.origins import end_process  # noqa: PLC0415 - see above

    end_process()
