"""What apps register with the admin is loaded by those who serve its pages, not by workers and commands.

Without it they start a third sooner, and smaller (docs/adr/0050-lean-processes.md).
"""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.contrib import admin
from django.contrib.admin.apps import SimpleAdminConfig
from django.contrib.admin.checks import check_admin_app, check_dependencies
from django.core import checks


class AdminOnDemand(SimpleAdminConfig):
    """Django's admin; khaacho/urls.py loads the registrations, and so do the checks of them."""

    def ready(self) -> None:
        checks.register(check_dependencies, checks.Tags.admin)
        checks.register(_check_registrations, checks.Tags.admin)


def _check_registrations(
    *, app_configs: Sequence[AppConfig] | None, **options: Any
) -> list[checks.CheckMessage]:
    admin.autodiscover()
    found: list[checks.CheckMessage] = check_admin_app(app_configs, **options)
    return found
