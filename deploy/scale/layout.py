"""Where the scaled demo keeps what it makes, beside the demo's own, and on which ports it listens."""

import hashlib
import json
import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.local.files import LAYOUT, Layout, read, write_private
from deploy.local.redis_server import _free_port as free_port
from deploy.local.redis_server import is_free


@dataclass(frozen=True)
class ScaleLayout(Layout):
    """The layout of a checkout's scaled demo: all below var/NAME."""

    name: str = "scale"

    @property
    def var(self) -> Path:
        return self.checkout / "var" / self.name

    @property
    def key(self) -> str:
        return hashlib.sha256(f"{self.checkout} {self.name}".encode()).hexdigest()[:10]

    @property
    def static(self) -> Path:
        """Return where static files are collected: beside the servers, since nginx reads them."""
        return self.servers / "static"

    @property
    def draining(self) -> Path:
        """Return the directory in which a file tells nginx to leave a web process alone."""
        return self.servers / "draining"

    @property
    def acknowledged(self) -> Path:
        """Return the list of what clients were told is done (bench/trade/play/ledger.py)."""
        return self.var / "acknowledged.jsonl"


def named(name: str) -> ScaleLayout:
    """Return the layout of a scaled demo of this name: tests have one of their own (SCALE_NAME)."""
    return ScaleLayout(LAYOUT.checkout, name if re.fullmatch(r"[a-z][a-z0-9-]*", name) else "scale")


SCALE = named(os.environ.get("SCALE_NAME", ""))


def kept_secret(layout: Layout, name: str) -> str:
    """Return a secret that is made once."""
    path = layout.var / name
    if not read(path):
        write_private(path, secrets.token_urlsafe(24))
    return read(path)


def keep_port(layout: Layout, name: str, is_ours: Callable[[], bool], wanted: int = 0) -> int:
    """Return the port of the last start; another one when a stranger has it, or `wanted` when given."""
    path = layout.var / "ports.json"
    known: dict[str, int] = {}
    with suppress(ValueError):
        known = json.loads(read(path))
    port = wanted or known.get(name, 0)
    if not port or not (is_free(port) or is_ours()):
        port = free_port()
    write_private(path, json.dumps({**known, name: port}, indent=2))
    return port
