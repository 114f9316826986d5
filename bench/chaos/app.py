"""`celery -A bench.chaos.app`: the product's application, whose jobs have short limits, and ours."""

import django

from khaacho.celery import app

__all__ = ["app"]

django.setup()

from bench.chaos import kinds  # noqa: E402 - models need the set-up

kinds.register()
