"""What must be right in the settings before the site starts."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error

from credit.scoring import MODELS


def score_version(**_: Any) -> list[CheckMessage]:
    """The score's version is one that the code has."""
    if settings.CREDIT_SCORE_VERSION in MODELS:
        return []
    return [
        Error(
            f"CREDIT_SCORE_VERSION {settings.CREDIT_SCORE_VERSION!r} is unknown.",
            hint=f"known: {', '.join(MODELS)}",
            id="credit.E001",
        )
    ]
