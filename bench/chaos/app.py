"""`celery -A bench.chaos.app`: the product's application, whose jobs have short limits, and ours."""

import django

from bench.chaos import limits
from khaacho.celery import app

__all__ = ["app"]

limits.shorten()
django.setup()

from bench.chaos import kinds  # noqa: E402 - models need the set-up

kinds.register()
