"""The project and its bottom layer: users, audit, jobs, events, errors, money, the API's common parts."""

from khaacho.celery import app as celery_app

__all__ = ["celery_app"]
