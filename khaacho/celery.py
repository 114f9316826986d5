"""The Celery application: it carries pointers to jobs, PostgreSQL keeps the work (docs/adr)."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")

app = Celery("khaacho")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["khaacho"])
