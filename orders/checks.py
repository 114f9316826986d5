"""What must be right in the settings before the site starts."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

PARTS = {"availability", "proximity", "workload", "price", "reliability"}


def routing_weights(**_: Any) -> list[CheckMessage]:
    """The routing score is 0-100 only with a weight for each part and a total of 100."""
    weights = settings.ROUTING_WEIGHTS
    if set(weights) == PARTS and sum(weights.values()) == 100 and min(weights.values()) >= 0:
        return []
    return [
        Error(
            "ROUTING_WEIGHTS needs a weight of at least 0 for each part, and a total of 100.",
            hint=f"parts: {', '.join(sorted(PARTS))}; now {weights}",
            id="orders.E001",
        )
    ]
