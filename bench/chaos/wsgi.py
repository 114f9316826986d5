"""The site, which publishes its jobs with the short limits of a chaos run."""

from khaacho.wsgi import application  # isort: skip # it sets Django up, which the others need
from bench.chaos import kinds

__all__ = ["application"]

kinds.register()
