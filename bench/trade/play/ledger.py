"""What clients were told is done, written down in the moment they were told: nothing of it may be lost."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

FACTS = {"order": ("id", "order_number", "total"), "payment": ("id", "reference", "amount")}


def writer(path: Path | None) -> Callable[[str, dict[str, Any]], None]:
    """Return what appends an acknowledged order or payment to the file; without a file, nothing does."""
    if path is None:
        return lambda kind, row: None
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = threading.Lock()

    def note(kind: str, row: dict[str, Any]) -> None:
        line = json.dumps({"kind": kind, **{name: row[name] for name in FACTS[kind]}})
        with lock, path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    return note


def read(path: Path) -> dict[str, dict[int, dict[str, Any]]]:
    """Return the acknowledged rows by kind and id."""
    found: dict[str, dict[int, dict[str, Any]]] = {kind: {} for kind in FACTS}
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            found[row.pop("kind")][row["id"]] = row
    return found
