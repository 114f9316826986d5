"""Alerts: what a person must look at."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from khaacho import sql
from khaacho.enums import Severity

MESSAGE_MAX = 500

RAISE = """
INSERT INTO alerts
    (code, severity, entity_type, entity_id, message, details, occurrences)
VALUES
    (%(code)s, %(severity)s, %(entity_type)s, %(entity_id)s, %(message)s, %(details)s, 1)
ON CONFLICT (code, entity_type, entity_id) WHERE resolved_at IS NULL DO UPDATE SET
    occurrences = alerts.occurrences + 1,
    severity = (%(ranks)s::text[])[greatest(
        array_position(%(ranks)s::text[], alerts.severity::text),
        array_position(%(ranks)s::text[], EXCLUDED.severity::text))],
    message = EXCLUDED.message, details = EXCLUDED.details, last_seen_at = statement_timestamp()
"""


def raise_alert(
    code: str,
    message: str,
    *,
    severity: Severity = Severity.WARNING,
    entity_type: str = "",
    entity_id: int = 0,
    **details: Any,
) -> None:
    """Open an alert, or count one more occurrence of the same that is open. One statement.

    The open alert shows the newest message and the worst severity so far.
    Written in the caller's transaction: what is rolled back raises no alert.
    """
    sql.execute(
        RAISE,
        {
            "code": code,
            "severity": severity.value,
            "ranks": Severity.values,
            "entity_type": entity_type,
            "entity_id": entity_id,
            "message": message[:MESSAGE_MAX],
            "details": json.dumps(details, cls=DjangoJSONEncoder),
        },
    )
