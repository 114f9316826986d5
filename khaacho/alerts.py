"""Alerts: what a person must look at."""

from typing import Any

from django.db.models import F
from django.db.models.functions import Now

from khaacho.enums import Severity
from khaacho.models import Alert


def raise_alert(
    code: str,
    message: str,
    *,
    severity: Severity = Severity.WARNING,
    entity_type: str = "",
    entity_id: int = 0,
    **details: Any,
) -> None:
    """Open an alert, or count one more occurrence of the same that is open. One or two statements."""
    same = Alert.objects.filter(
        code=code, entity_type=entity_type, entity_id=entity_id, resolved_at=None
    )
    if same.update(
        occurrences=F("occurrences") + 1, message=message, details=details, last_seen_at=Now()
    ):
        return
    Alert.objects.bulk_create(
        [
            Alert(
                code=code,
                message=message,
                severity=severity,
                entity_type=entity_type,
                entity_id=entity_id,
                details=details,
            )
        ],
        ignore_conflicts=True,
    )
