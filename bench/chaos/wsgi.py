"""The site, which publishes its jobs with the short limits of a chaos run."""

from bench.chaos import limits

__all__ = ["application"]

limits.shorten()

from khaacho.wsgi import application  # isort: skip # noqa: E402 - it sets Django up, with its kinds
from bench.chaos import kinds  # noqa: E402 - models need the set-up

kinds.register()
