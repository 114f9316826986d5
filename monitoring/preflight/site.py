"""What the site must be told: secrets, names, TLS, whom to alert, where to log, its files."""

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.core import checks

from monitoring.preflight.lines import Fault

LOCAL = {"127.0.0.1", "localhost", "[::1]", "testserver"}
PLACEHOLDERS = ("change-me", "changeme", "development-only", "example", "secret")
NEW_SECRET = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"  # noqa: S105 - a command


def deploy_checks() -> Iterator[Fault]:
    """Run what `manage.py check --deploy` runs."""
    for found in checks.run_checks(include_deployment_checks=True):
        if found.level >= checks.WARNING:
            hint = str(found.hint or "python manage.py check --deploy")
            yield Fault(f"{found.id}: {found.msg}".split("\n")[0], hint)


def secrets() -> Iterator[Fault]:
    for name in ("SECRET_KEY", "ALERT_WEBHOOK_SECRET", "WHATSAPP_VERIFY_TOKEN"):
        value = str(getattr(settings, name))
        if any(word in value.lower() for word in PLACEHOLDERS):
            yield Fault(f"{name} is a placeholder.", f"{name}=$({NEW_SECRET})")
    for name in ("default", "monitor"):
        if settings.DATABASES[name]["PASSWORD"].lower() in PLACEHOLDERS:
            yield Fault(
                f"The database's password of the alias {name} is a placeholder.",
                "ALTER ROLE khaacho PASSWORD '…';  -- then DATABASE_URL",
            )
    if settings.ALERT_WEBHOOK_URL and not settings.ALERT_WEBHOOK_SECRET:
        yield Fault(
            "Alerts are posted without a signature.", f"ALERT_WEBHOOK_SECRET=$({NEW_SECRET})"
        )


def tls() -> Iterator[Fault]:
    if not settings.SECURE_TLS:
        yield Fault("The site is not served over HTTPS.", "SECURE_TLS=true")
    for origin in settings.CSRF_TRUSTED_ORIGINS:
        if urlsplit(origin).scheme != "https":
            yield Fault(
                f"Forms are taken from {origin}.",
                f"CSRF_TRUSTED_ORIGINS=https://{urlsplit(origin).netloc}",
            )


def names() -> Iterator[Fault]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Fault("The site answers to any name.", "ALLOWED_HOSTS=khaacho.example")
    elif set(settings.ALLOWED_HOSTS) <= LOCAL:
        yield Fault(
            "The site answers to no name but this machine's own.", "ALLOWED_HOSTS=khaacho.example"
        )


def alert_targets() -> Iterator[Fault]:
    if not settings.ALERT_WEBHOOK_URL and not settings.ALERT_EMAIL_TO:
        yield Fault(
            "Nobody is told of alerts.",
            "ALERT_EMAIL_TO=owner@khaacho.example  # or ALERT_WEBHOOK_URL, ALERT_WEBHOOK_SECRET",
        )


def whatsapp() -> Iterator[Fault]:
    if settings.WHATSAPP_BACKEND.endswith(".Console"):
        yield Fault(
            "Messages to shops are printed instead of sent.",
            "WHATSAPP_BACKEND=…  # the dotted path of a class of your provider: docs/whatsapp.md",
        )
    if not settings.WHATSAPP_APP_SECRETS:
        yield Fault(
            "No message of a shop is believed: there is no secret to check its signature with.",
            "WHATSAPP_APP_SECRETS=…  # the app's secret, from the provider",
        )


def static_files() -> Iterator[Fault]:
    if settings.WHITENOISE_USE_FINDERS:
        return
    if not (Path(settings.STATIC_ROOT) / "khaacho" / "admin.css").exists():
        yield Fault(
            f"The admin's files are not in {settings.STATIC_ROOT}.",
            "python manage.py collectstatic --noinput",
        )


def logs() -> Iterator[Fault]:
    if not settings.LOG_DIR:
        yield Fault("Nothing is logged to files.", "LOG_DIR=/var/log/khaacho")
    elif not os.access(settings.LOG_DIR, os.W_OK):
        yield Fault(
            f"{settings.LOG_DIR} may not be written to by this user.",
            f"install -d -o khaacho -g khaacho -m 750 {settings.LOG_DIR}",
        )
