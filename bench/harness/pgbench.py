"""PostgreSQL alone: pgbench running what the application sent, with no web tier in the way."""

import re
import shutil
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from deploy.local import postgres

SCRIPTS_MOST = 100  # pgbench takes 128
UNMISTAKABLE = 10**10  # ids above it are no other number in a statement


@dataclass
class Recording:
    """Statements in the order they were sent, each with the ids that it returned, by column."""

    statements: list[tuple[str, dict[str, int]]] = field(default_factory=list)


@contextmanager
def recording() -> Iterator[Recording]:
    """Record what the default connection executes, transaction control included."""
    made, returned = Recording(), deque[tuple[str, dict[str, int]]]()

    def record(execute: Callable[..., Any], sql: str, params: Any, many: bool, context: Any) -> Any:
        answer = execute(sql, params, many, context)
        cursor = context["cursor"].cursor
        returned.append((connection.ops.last_executed_query(cursor, sql, params), _ids(cursor)))
        return answer

    with CaptureQueriesContext(connection) as captured, connection.execute_wrapper(record):
        yield made
    for query in captured.captured_queries:
        # BEGIN, COMMIT and savepoints are logged, but do not pass through a wrapper.
        known = returned and returned[0][0] == query["sql"]
        made.statements.append(returned.popleft() if known else (query["sql"], {}))
    if returned:
        raise RuntimeError("what was recorded is not what was logged")


def _ids(cursor: Any) -> dict[str, int]:
    """Return the big whole numbers of a result of one row, without taking it from its reader."""
    result = getattr(cursor, "pgresult", None)
    if result is None or result.ntuples != 1:
        return {}
    names = [(result.fname(column) or b"").decode() for column in range(result.nfields)]
    if not all(re.fullmatch(r"[a-z_]\w*", name) for name in names):
        return {}  # \gset takes all columns or none
    found = {}
    for column, name in enumerate(names):
        value = (result.get_value(0, column) or b"").decode("utf-8", "replace")
        if value.isdecimal() and int(value) >= UNMISTAKABLE:
            found[name] = int(value)
    return found


def script(recorded: Recording, key: str = "") -> str:
    """Return a pgbench script of the recorded statements.

    Ids that one statement returned are handed to those after it, as the application does. `key` is
    text that has to be new in every run of it.
    """
    lines = [r"\set fresh random(1, 9000000000000000)"] if key else []
    variables: dict[int, str] = {}
    for number, (text, ids) in enumerate(recorded.statements):
        line = " ".join(text.split("\n")).rstrip("; ")
        if key:
            line = line.replace(key, f"{key}:fresh")
        for value, name in variables.items():
            line = line.replace(f":{value}", f": {value}")  # ::name would be a cast
            line = re.sub(rf"\b{value}\b", f":{name}", line)
        lines.append(f"{line} \\gset s{number}_" if ids else f"{line};")
        variables |= {value: f"s{number}_{column}" for column, value in ids.items()}
    return "\n".join(lines) + "\n"


def find() -> str | None:
    """Return the path of pgbench, or None when this machine has none."""
    binaries = postgres.find()
    beside = binaries.directory / "pgbench" if binaries else None
    return str(beside) if beside and beside.exists() else shutil.which("pgbench")


def run(
    url: str, scripts: Sequence[str], *, clients: int, transactions: int, protocol: str
) -> float | None:
    """Return the transactions per second of `clients` that run the scripts at random; None without pgbench.

    `transactions` is the total. Raises RuntimeError when a client was aborted.
    """
    program = find()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for number, text in enumerate(scripts[:SCRIPTS_MOST]):
            path = Path(folder) / f"{number}.sql"
            path.write_text(text)
            files += ["-f", str(path)]
        answer = subprocess.run(  # noqa: S603 - a program of PostgreSQL's
            [
                *(program, "-n", "-M", protocol, "-c", str(clients), "-j", "2"),
                *("-t", str(max(1, transactions // clients)), *files, url),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    found = re.search(r"tps = ([0-9.]+)", answer.stdout)
    if answer.returncode or found is None:
        raise RuntimeError(f"pgbench failed: {answer.stderr.strip()[-600:]}")
    return float(found[1])
