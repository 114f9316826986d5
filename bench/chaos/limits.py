"""Short limits for every kind of job, so that a lease ends in seconds, not in minutes.

Imported before Django is set up: kinds are registered on the way.
"""

import os
from typing import Any

from khaacho import jobs

LIMIT = "CHAOS_LIMIT_SECONDS"  # no kind's hard limit is longer


def seconds() -> int:
    return int(os.environ.get(LIMIT, "6"))


def shorten() -> None:
    """Bound the limits of every kind that is registered from now on."""
    register, limit = jobs.register, seconds()

    def register_shorter(name: str, function: str, **options: Any) -> None:
        soft = min(options.pop("soft_limit", limit), max(1, limit - 1))
        hard = min(options.pop("hard_limit", limit), limit)
        register(name, function, soft_limit=soft, hard_limit=hard, **options)

    jobs.register = register_shorter
