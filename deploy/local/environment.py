"""What every Django command of `make` finds in its environment."""

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local import postgres, redis_server
from deploy.local.files import Layout, read, write_private
from deploy.local.services import Services

PYTHON = sys.executable
SITE_KEY = "secret_key"  # the file of the site's secret, which the first demo of a checkout makes


def _path() -> str:
    """Return PATH with the servers' programs at its end: backups and tests call them by name."""
    binaries, redis = postgres.find(), redis_server.find()
    found = [binaries.directory if binaries else None, redis.parent if redis else None]
    return os.pathsep.join([os.environ.get("PATH", os.defpath), *(str(d) for d in found if d)])


def settings(services: Services, *, secret_key: str, log_dir: Path) -> dict[str, str]:
    """Return our own environment with the settings that Khaacho reads."""
    return {
        **os.environ,
        "DATABASE_URL": services.database_url,
        "REDIS_URL": services.redis_url,
        "SECRET_KEY": secret_key,
        "DEBUG": "false",
        "ALLOWED_HOSTS": "127.0.0.1,localhost",
        "LOG_DIR": str(log_dir),
        "PATH": _path(),
        "PYTHONUNBUFFERED": "1",
    }


def demo(layout: Layout, services: Services) -> dict[str, str]:
    """Return the demo's settings; its secrets are made once and kept."""
    return {
        "WHATSAPP_APP_SECRETS": _kept_secret(layout, "whatsapp_secret"),
        **settings(services, secret_key=_kept_secret(layout, SITE_KEY), log_dir=layout.logs),
    }


def _kept_secret(layout: Layout, name: str) -> str:
    path = layout.var / name
    if not read(path):
        write_private(path, secrets.token_urlsafe(48))
    return read(path)


def tests(layout: Layout, services: Services) -> dict[str, str]:
    """Return the settings of tests and checks, whose processes do not pool connections."""
    return {
        **settings(
            services,
            secret_key=f"test-{secrets.token_urlsafe(48)}",
            log_dir=layout.logs / "tests",
        ),
        "DB_POOL_MAX": "0",
    }


def production(environ: Mapping[str, str]) -> dict[str, str]:
    """Return settings like those of a real site, for `check --deploy`."""
    return {
        **environ,
        "ALLOWED_HOSTS": "khaacho.example",
        "SECURE_TLS": "true",
        "LOG_LEVEL": "WARNING",
    }
