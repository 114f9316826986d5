"""Secrets to plant where they might be logged, and the search for them afterwards."""

import base64
import gzip
import json
import random
import string
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from logging.config import dictConfig
from pathlib import Path

from django.conf import settings

from khaacho.settings import LOG_FILES, log_file

DEVANAGARI = str.maketrans("0123456789", "०१२३४५६७८९")
LATIN = str.maketrans("०१२३४५६७८९", "0123456789")
SIGNS = string.ascii_letters + string.digits


class Garden:
    """Makes secrets by a seed, remembers them, and looks whether any came up."""

    def __init__(self, seed: int = 1) -> None:
        self.random = random.Random(seed)
        self.planted: list[str] = []

    def phone(self) -> str:
        """Return a mobile in one of the forms in which people write it."""
        digits = f"9{self.random.choice('678')}{self.random.randrange(10**8):08d}"
        self.planted.append(digits[2:])  # the part that no other text has, grouped or not
        form = self.random.randrange(8)
        grouped = (
            f"{digits[:3]}-{digits[3:]}" if form % 2 else f"{digits[:2]} {digits[2:6]} {digits[6:]}"
        )
        shown = [
            digits,
            f"+977{digits}",
            f"+977 {grouped}",
            f"977-{digits}",
            grouped,
            f"+977-{digits[:5]} {digits[5:]}",
            digits.translate(DEVANAGARI),
            f"+९७७ {grouped.translate(DEVANAGARI)}",
        ]
        return shown[form]

    def password(self) -> str:
        word = "".join(self.random.choices(SIGNS + "!@#%*_+", k=self.random.randint(10, 20)))
        return self._kept(word)

    def token(self) -> str:
        kinds = (self._hex, self._base64, self._url_safe, self._jwt)
        return self._kept(self.random.choice(kinds)())

    def words(self) -> str:
        """Return what somebody may write in a message."""
        return self._kept(
            f"दुई बोरा चामल {self.random.randrange(10**6)} please {self.random.random()}"
        )

    def _kept(self, secret: str) -> str:
        self.planted.append(secret)
        return secret

    def _hex(self) -> str:
        return self.random.randbytes(self.random.choice((16, 20, 32))).hex()

    def _base64(self) -> str:
        return base64.b64encode(self.random.randbytes(self.random.choice((24, 32, 48)))).decode()

    def _url_safe(self) -> str:
        return base64.urlsafe_b64encode(self.random.randbytes(32)).decode().rstrip("=")

    def _jwt(self) -> str:
        parts = (
            {"alg": "HS256", "typ": "JWT"},
            {"sub": str(self.random.randrange(10**9)), "exp": 1},
        )
        texts = [json.dumps(part).encode() for part in parts] + [self.random.randbytes(32)]
        return ".".join(base64.urlsafe_b64encode(text).decode().rstrip("=") for text in texts)

    def found_in(self, paths: Iterable[Path]) -> list[tuple[str, str, str]]:
        """Return secrets that came up: of which file, which, and the line."""
        found = []
        for path in paths:
            lines = _lines(path)
            whole = "\n".join(lines)
            plain = _digits(whole)
            for secret in self.planted:
                if secret in whole or (secret.isdigit() and secret in plain):
                    found += [(path.name, secret, each) for each in lines if _has(each, secret)]
        return found


def _has(line: str, secret: str) -> bool:
    return secret in line or secret in _digits(line)


def _lines(path: Path) -> list[str]:
    packed = path.read_bytes()
    return (gzip.decompress(packed) if path.suffix == ".gz" else packed).decode().splitlines()


def _digits(line: str) -> str:
    """Return a line without what may stand between the digits of a number, all digits Latin."""
    plain = line.translate(LATIN).replace("%20", "")
    return "".join(sign for sign in plain if sign not in " -()")


@contextmanager
def logging_to(directory: Path) -> Iterator[Path]:
    """Log as with LOG_DIR set to this directory, and as before afterwards.

    The console is the process's own from then on: that of a test that captures it is closed after the test, and
    each later line of any test would be two tracebacks.
    """
    plain = deepcopy(settings.LOGGING)
    plain["handlers"]["console"]["stream"] = "ext://sys.__stderr__"
    config = deepcopy(settings.LOGGING)
    config["handlers"] |= {name: log_file(str(directory), name) for name in LOG_FILES}
    config["root"]["handlers"] = ["console", *LOG_FILES]
    dictConfig(config)
    try:
        yield directory
    finally:
        dictConfig(plain)


def lines_of(directory: Path, name: str) -> list[dict]:
    path = directory / f"{name}.log"
    return [json.loads(line) for line in _lines(path)] if path.exists() else []
