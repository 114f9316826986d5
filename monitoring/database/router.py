"""The alias `monitor` reads: models over views live on it, and nothing is migrated through it."""

from typing import Any

from django.db.models import Model

ALIAS = "monitor"


class MonitorRouter:
    def db_for_read(self, model: type[Model], **hints: Any) -> str | None:
        is_view = model._meta.app_label == "monitoring" and not model._meta.managed
        return ALIAS if is_view else None

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if db == ALIAS else None
