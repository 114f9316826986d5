"""A web process as production has it, and who asks it."""

import contextlib
import http.client
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from django.conf import settings
from django.test import Client
from django.utils import timezone

from khaacho import tokens
from khaacho.actors import Actor
from khaacho.models import User
from tests.processes import free_port, process, wait_for


@dataclass
class Site:
    """A gunicorn, its address and its log."""

    url: str
    log: Path
    process: subprocess.Popen[bytes]

    def get(self, path: str, **options: Any) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False, timeout=30, **options)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def is_up(self) -> bool:
        asked = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=30)
        with contextlib.closing(asked), contextlib.suppress(OSError, http.client.HTTPException):
            asked.request("GET", "/livez")
            return asked.getresponse().status == 200
        return False

    def said(self, text: str) -> int:
        return self.log.read_text().count(text)


@contextlib.contextmanager
def site(home: Path, *, conf: str = "deploy/local/gunicorn.conf.py", **env: str) -> Iterator[Site]:
    """Run gunicorn on this test's database and Redis, as long as the block lasts."""
    port, log = free_port(), home / "web.log"
    arguments = ("-m", "gunicorn", "-c", conf, "khaacho.wsgi")
    told = {
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "STATIC_ROOT": str(home),
        "LOG_DIR": "",
        "SOURCES_SECONDS": "0",
        "RATE_LIMITED": "false",
        **env,
    }
    with process(*arguments, log=log, **told) as running:
        found = Site(f"http://127.0.0.1:{port}", log, running)
        wait_for(found.is_up, seconds=60, what=f"gunicorn: {log}")
        yield found


def bearer(actor: Actor) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.access_token(actor, now=timezone.now())}"}


@contextlib.contextmanager
def desk(site: Site, user: User) -> Iterator[httpx.Client]:
    """Give the browser of an employee who has signed in to the admin."""
    client = Client()
    client.force_login(user)
    cookies = {settings.SESSION_COOKIE_NAME: client.cookies[settings.SESSION_COOKIE_NAME].value}
    with httpx.Client(base_url=site.url, cookies=cookies, trust_env=False, timeout=30) as browser:
        yield browser
