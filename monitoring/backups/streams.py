"""The pipes between PostgreSQL's programs and a file, each counting and hashing what goes through it."""

import hashlib
from collections.abc import Callable
from typing import IO, Any

CHUNK = 1 << 20


class Source:
    """Reads a stream, counts its bytes and tells `progress` of them; keeps its own error."""

    def __init__(self, raw: IO[bytes], progress: Callable[[int], None] = lambda _: None) -> None:
        self.raw = raw
        self.progress = progress
        self.count = 0
        self.sha256 = hashlib.sha256()
        self.hashing = False
        self.error: BaseException | None = None

    def read(self, size: int = -1) -> bytes:
        if self.error is not None:
            raise self.error
        try:
            chunk = self.raw.read(size)
            self.count += len(chunk)
            if self.hashing:
                self.sha256.update(chunk)
            self.progress(self.count)
        except BaseException as error:
            self.error = error
            raise
        return chunk


class Sink:
    """Writes a stream, counts and hashes it; keeps its own error, which a library on the way may hide."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.count = 0
        self.sha256 = hashlib.sha256()
        self.error: BaseException | None = None

    def write(self, chunk: Any) -> int:
        if self.error is not None:
            raise self.error
        try:
            self.raw.write(chunk)
        except BaseException as error:
            self.error = error
            raise
        self.count += len(chunk)
        self.sha256.update(chunk)
        return len(chunk)

    def flush(self) -> None:
        """Nothing: whoever opened the file flushes it once, at its end."""


def copy(reader: Any, writer: Any) -> None:
    while chunk := reader.read(CHUNK):
        writer.write(chunk)
