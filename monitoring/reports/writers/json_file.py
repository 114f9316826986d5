"""JSON as the API says things: money as text."""

import json
from typing import IO, Any

from monitoring.reports.columns import Sums, as_json
from monitoring.reports.content import Content, check_size
from monitoring.reports.reading import Reader

SIZED = 10_000  # rows between two looks at the size


def _text(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def write(content: Content, reader: Reader, file: IO[bytes]) -> int:
    """Write the report as one JSON object, row after row; return how many rows."""
    head = {
        "kind": content.kind,
        "filters": content.filters,
        "generated_at": reader.read_at.isoformat().replace("+00:00", "Z"),
        "columns": [{"name": c.name, "label": c.label} for c in content.columns],
    }
    sums = Sums(content.columns)
    named = [(column.name, column.form) for column in content.columns]
    file.write(_text(head)[:-1] + b',"rows":[')
    count = 0
    for row in reader.rows():
        values = {
            name: as_json(value, form) for (name, form), value in zip(named, row, strict=True)
        }
        file.write((b",\n" if count else b"\n") + _text(values))
        sums.add(row)
        count += 1
        if count % SIZED == 0:
            check_size(file)
    tail = {"row_count": count, "totals": sums.as_json()}
    file.write(b"],\n" + _text(tail)[1:])
    check_size(file)
    return count
