"""`celery -A tests.khaacho.worker_app`: the product's application, which knows the tests' kinds too."""

import django

from khaacho.celery import app

__all__ = ["app"]

django.setup()

from tests.khaacho import kinds  # noqa: E402 - models need the set-up

kinds.register()
