"""CSV for spreadsheets, written by PostgreSQL itself."""

from typing import IO

from monitoring.reports.content import Content, check_size
from monitoring.reports.reading import Reader

BOM = "\ufeff".encode()
SIZED = 10_000  # rows between two looks at the size


def write(content: Content, reader: Reader, file: IO[bytes]) -> int:
    """Write the rows as CSV in UTF-8 with a byte order mark and no live formulas; return how many."""
    file.write(BOM)
    lines = -1  # the headings
    for line in reader.csv(content.columns):
        file.write(line)
        lines += 1
        if lines % SIZED == 0:
            check_size(file)
    check_size(file)
    return lines
