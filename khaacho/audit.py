"""Acts worth a line of their own. Edits of rows are recorded by triggers, whoever makes them."""

import json
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from khaacho.actors import Actor
from khaacho.models import AuditLog

REASON_MAX = 500


def record(
    actor: Actor,
    action: str,
    *,
    entity_type: str,
    entity_id: int,
    reason: str = "",
    **details: Any,
) -> None:
    """Write one audit line in the caller's transaction. `action` is dotted past tense: `order.paid`.

    Amounts and dates in `details` are stored as strings.
    """
    AuditLog.objects.create(
        user_id=actor.user_id,
        action=action,
        entity_type=entity_type,
        entity_id=entity_id,
        reason=reason[:REASON_MAX],
        new_values=json.loads(json.dumps(details, cls=DjangoJSONEncoder)),
    )
