"""The Celery application: it carries pointers to jobs, PostgreSQL keeps the work (docs/adr)."""

import os
from typing import Any

from celery import Celery
from celery.signals import setup_logging, worker_process_init, worker_process_shutdown

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
# Celery would run Django's checks, which load every page of the site, and take no notice of what they say.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("khaacho")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["khaacho"])
app.steps["worker"].add("khaacho.heartbeat:HeartbeatStep")
app.steps["worker"].add("khaacho.farewell:FarewellStep")


@setup_logging.connect
def _log_as_everywhere(**_: Any) -> None:
    """Keep Celery from setting levels and handlers of its own: workers and beat log as settings say."""
    from django.conf import settings  # noqa: PLC0415 - the application is made before Django's
    from django.utils.log import configure_logging  # noqa: PLC0415 - see above

    configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


@worker_process_init.connect
def _begin_process(**_: Any) -> None:
    from khaacho.direct import limit_memory  # noqa: PLC0415 - the application is made before Django's
    from khaacho.jobs import interrupting  # noqa: PLC0415

    limit_memory()
    interrupting.listen()


@worker_process_shutdown.connect
def _end_process(**_: Any) -> None:
    from khaacho.origins import end_process  # noqa: PLC0415 - see above

    end_process()
