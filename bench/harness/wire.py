"""Load over HTTP: connections kept alive, each sending its next request when its last is answered."""

import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.harness.client import Person, next_key
from bench.harness.rounds import percentiles

CONNECTIONS = 16
TIMEOUT = 60.0


@dataclass(frozen=True)
class Answered:
    """What the clients saw: durations in seconds, and how often each status came."""

    seconds: list[float]
    statuses: dict[int, int]
    elapsed: float

    @property
    def rate(self) -> float:
        """Requests answered per second."""
        return len(self.seconds) / self.elapsed

    @property
    def percentiles(self) -> tuple[float, float, float]:
        return percentiles(self.seconds)

    @property
    def accepted(self) -> int:
        """Answers with a status of 2xx."""
        return sum(n for status, n in self.statuses.items() if 200 <= status < 300)


def request(someone: Person, method: str, path: str, body: bytes = b"") -> bytes:
    """Return the request as it goes over the wire; a POST has an Idempotency-Key of its own."""
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {someone.token}",
    ]
    if method == "POST":
        head += [
            f"Idempotency-Key: {next_key()}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def send(port: int, requests: Sequence[bytes], connections: int = CONNECTIONS) -> Answered:
    """Send all requests, shared out over the connections; return when the last is answered.

    Raises ConnectionError when the server hangs up in the middle.
    """
    shares = [requests[n::connections] for n in range(connections)]
    results: list[list[tuple[int, float]]] = [[] for _ in shares]
    failures: list[BaseException] = []

    def work(share: Sequence[bytes], sink: list[tuple[int, float]]) -> None:
        try:
            _work(port, share, sink)
        except (OSError, ValueError) as error:
            failures.append(error)

    threads = [
        threading.Thread(target=work, args=pair) for pair in zip(shares, results, strict=True)
    ]
    begin = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed = time.perf_counter() - begin
    if failures:
        raise ConnectionError(f"{len(failures)} of {connections} clients failed: {failures[0]!r}")
    answers = [answer for sink in results for answer in sink]
    statuses: dict[int, int] = {}
    for status, _ in answers:
        statuses[status] = statuses.get(status, 0) + 1
    return Answered([seconds for _, seconds in answers], statuses, elapsed)


def _work(port: int, requests: Sequence[bytes], sink: list[tuple[int, float]]) -> None:
    connection: socket.socket | None = None
    try:
        for text in requests:
            if connection is None:
                connection = socket.create_connection(("127.0.0.1", port), TIMEOUT)
            begin = time.perf_counter()
            connection.sendall(text)
            status, goes_on = _answer(connection.recv)
            sink.append((status, time.perf_counter() - begin))
            if not goes_on:
                connection.close()
                connection = None
    finally:
        if connection is not None:
            connection.close()


def _answer(receive: Callable[[int], bytes]) -> tuple[int, bool]:
    """Read one whole answer; return its status and whether the connection goes on."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(receive)
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    fields = dict(line.split(b": ", 1) for line in lines[1:] if b": " in line)
    if fields.get(b"transfer-encoding") == b"chunked":
        while not body.endswith(b"0\r\n\r\n"):
            body += _more(receive)
    else:
        missing = int(fields.get(b"content-length", b"0")) - len(body)
        while missing > 0:
            missing -= len(_more(receive))
    return int(lines[0].split()[1]), fields.get(b"connection") != b"close"


def _more(receive: Callable[[int], bytes]) -> bytes:
    part = receive(65_536)
    if not part:
        raise ConnectionResetError("the server hung up")
    return part
