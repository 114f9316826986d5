"""What the environment says, read with sentences for what is wrong.

    env = Environment()
    DB_POOL_MAX = env.whole("DB_POOL_MAX", 50)
    env.stop_if_wrong()

A reader that finds a value of the wrong form takes its default and remembers why; `stop_if_wrong` tells all of
it at once, each by its name and with an example. No value is ever repeated: it may be a secret.
"""

import re
from collections.abc import Callable, Collection, Sequence
from decimal import Decimal
from importlib.util import find_spec
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from environs import Env, EnvError
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

T = TypeVar("T")

REDIS = ("redis", "rediss", "unix")
WEB = ("http", "https")
POSTGRES = ("postgresql", "postgres")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
_HOST = re.compile(r"\*|\.?[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\]")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")


class Misconfigured(ImproperlyConfigured):
    """The environment is wrong: a line for each variable, its name first."""


class Environment:
    """The variables of this process's environment. Each reader's `example` ends its sentence."""

    def __init__(self) -> None:
        self._env = Env()
        self._wrong: dict[str, str] = {}

    def refuse(self, name: str, why: str, example: str = "") -> None:
        """Remember that a variable is wrong: the first reason is the one that is told."""
        hint = f" Example: {name}={example}" if example else ""
        self._wrong.setdefault(name, f"{name} {why}.{hint}")

    def stop_if_wrong(self) -> None:
        """Raise Misconfigured when anything was wrong."""
        if self._wrong:
            raise Misconfigured("\n".join(self._wrong.values()))

    def is_set(self, name: str) -> bool:
        return bool(self.text(name))

    def text(self, name: str, default: str = "") -> str:
        value: str = self._env.str(name, default)
        if "\0" in value or "\n" in value.strip("\n"):
            self.refuse(name, "has more than one line")
            return default
        return value.strip("\n")

    def secret(self, name: str, default: str, *, remedy: str) -> str:
        """Return a text that must not be empty; `remedy` is the command that makes one."""
        value = self.text(name).strip() or default
        if not value:
            self.refuse(name, f"is empty or not set, and has no default. Make one: {remedy}")
            return "-"
        return value

    def whole(self, name: str, default: int, *, least: int = 0, most: int | None = None) -> int:
        value = self._read(self._env.int, name, default, "is not a whole number", str(default))
        return self._bounded(name, value, default, least, most)

    def number(self, name: str, default: float, *, least: float = 0) -> float:
        value = self._read(self._env.float, name, default, "is not a number", f"{default:g}")
        if value != value or value in (float("inf"), float("-inf")):
            self.refuse(name, "is not a number", f"{default:g}")
            return default
        return self._bounded(name, value, default, least, None)

    def amount(self, name: str, default: Decimal) -> Decimal:
        """Return NPR, zero or more."""
        value = self._read(self._env.decimal, name, default, "is not an amount", str(default))
        if not value.is_finite() or value < 0:
            self.refuse(name, "is not an amount of NPR, zero or more", str(default))
            return default
        return value

    def flag(self, name: str, default: bool) -> bool:
        why = "is neither true nor false"
        return self._read(self._env.bool, name, default, why, str(default).lower())

    def choice(self, name: str, default: str, options: Sequence[str]) -> str:
        value = self.text(name, default)
        if value not in options:
            self.refuse(name, f"must be one of {', '.join(options)}", default)
            return default
        return value

    def names(self, name: str, default: Collection[str] = ()) -> list[str]:
        """Return what stands between commas, without blanks around it and without empty parts."""
        parts = (part.strip() for part in self.text(name, ",".join(default)).split(","))
        return [part for part in parts if part]

    def hosts(self, name: str, default: Collection[str]) -> list[str]:
        found = self.names(name, default)
        if not all(_HOST.fullmatch(host) for host in found):
            why = "holds something that is no host name: leave out https://, ports and paths"
            self.refuse(name, why, "shop.example,www.shop.example")
        return found

    def origins(self, name: str) -> list[str]:
        found = self.names(name)
        if not all(_is_origin(origin) for origin in found):
            why = "holds something that is no origin: a scheme and a host, without a path"
            self.refuse(name, why, "https://shop.example")
        return found

    def networks(self, name: str) -> list[IPv4Network | IPv6Network]:
        """Return networks of addresses; one address is a network of one."""
        try:
            return [ip_network(part) for part in self.names(name)]
        except ValueError:
            self.refuse(name, "holds something that is no address or network", "10.0.0.0/8,::1")
            return []

    def mail_addresses(self, name: str) -> list[str]:
        found = self.names(name)
        if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for address in found):
            self.refuse(name, "holds something that is no e-mail address", "duty@shop.example")
        return found

    def url(self, name: str, default: str, schemes: Sequence[str]) -> str:
        """Return a URL of one of the schemes; an empty one only where that is the default."""
        value, example = self.text(name, default), f"{schemes[0]}://127.0.0.1"
        try:
            parts = urlsplit(value)
            is_whole = bool(parts.hostname if parts.scheme != "unix" else parts.path)
            is_whole = is_whole and (parts.port is None or parts.port > 0)
        except ValueError:  # of the port, or of an IPv6 address
            self.refuse(name, "is not a URL: its host or port cannot be read", example)
            return default
        if value == default == "":
            return value
        if parts.scheme not in schemes:
            self.refuse(name, f"must be a URL that begins with {_or(schemes)}", example)
            return default
        if not is_whole:
            self.refuse(name, "names no host", example)
            return default
        return value

    def database_url(self, name: str, default: str) -> str:
        """Return what libpq reads: a URL, or `key=value` pairs."""
        value = self.text(name, default)
        example = "postgresql://khaacho@127.0.0.1:5432/khaacho"
        scheme = urlsplit(value).scheme if "://" in value.partition("=")[0] else ""
        if value == default:
            return value
        if not value.strip():
            self.refuse(name, "is empty: set it, or leave the line out", example)
        elif scheme and scheme not in POSTGRES:
            self.refuse(name, f"must be a URL that begins with {_or(POSTGRES)}", example)
        elif not _is_conninfo(value):
            why = "cannot be read by libpq; blanks and special characters of a URL are written %20"
            self.refuse(name, why, example)
        else:
            return value
        return default

    def class_path(self, name: str, default: str) -> str:
        """Return the dotted path of a class in a module that exists."""
        value = self.text(name, default)
        if not _DOTTED.fullmatch(value) or not _exists(value.rpartition(".")[0]):
            self.refuse(name, "names no class: the dotted path of one is wanted", default)
            return default
        return value

    def directory(self, name: str, default: str = "") -> str:
        """Return a directory, which is made; empty where none is wanted."""
        value = self.text(name, default)
        try:
            if value:
                Path(value).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            why = f"is no directory that we can make ({error.strerror})"
            self.refuse(name, why, "/var/log/khaacho")
            return default
        return value

    def _read(
        self, parse: Callable[[str, Any], Any], name: str, default: T, why: str, example: str
    ) -> T:
        try:
            value: T = parse(name, default)
        except (EnvError, ValueError):
            is_empty = not self._env.str(name, "").strip()
            self.refuse(
                name, "is empty: leave the line out for its default" if is_empty else why, example
            )
            return default
        return value

    def _bounded(self, name: str, value: T, default: T, least: Any, most: Any) -> T:
        number: Any = value
        if number < least or (most is not None and number > most):
            bounds = f"from {least} to {most}" if most is not None else f"{least} or more"
            self.refuse(name, f"must be {bounds}", f"{default}")
            return default
        return value


def _is_conninfo(text: str) -> bool:
    try:
        conninfo_to_dict(text)
    except ProgrammingError:
        return False
    return True


def _is_origin(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    return parts.scheme in WEB and bool(parts.netloc) and not parts.path.strip("/")


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _or(schemes: Sequence[str]) -> str:
    return " or ".join(f"{scheme}://" for scheme in schemes)
