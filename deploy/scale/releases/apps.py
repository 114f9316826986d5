"""Narrower limits for every kind of job, so that a killed worker's job comes back soon. The last of the apps."""

import os
from dataclasses import replace

from django.apps import AppConfig


class Limits(AppConfig):
    name = "deploy.scale.releases"
    label = "limits"

    def ready(self) -> None:
        """Narrow what the other apps have registered."""
        from khaacho.jobs import kinds

        hard = int(os.environ["SCALE_JOB_SECONDS"])
        for kind in list(kinds.registered()):
            kinds.known[kind.name] = replace(
                kind,
                soft_limit=min(kind.soft_limit, max(1, hard * 2 // 3)),
                hard_limit=min(kind.hard_limit, hard),
            )
