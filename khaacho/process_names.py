"""What a process is, by how it was started: its origin, and its name in pg_stat_activity."""

from collections.abc import Sequence
from pathlib import Path

COMMAND, PROCESS = "command", "process"
LONGEST = 63  # characters that PostgreSQL keeps of an application_name


def kind_of(arguments: Sequence[str]) -> tuple[str, str]:
    """Return COMMAND and its name for manage.py's, PROCESS and "web", "worker", "beat" or the program's."""
    program, *rest = arguments or [""]
    words = [word for word in rest if not word.startswith("-")]
    path = Path(program)
    name = path.parent.name if path.name == "__main__.py" else path.name  # python -m name
    if name in ("manage.py", "django-admin", "django"):
        return COMMAND, words[0] if words else "help"
    for part in ("worker", "beat"):
        if part in words:
            return PROCESS, part
    return PROCESS, "web" if name == "gunicorn" else name


def application_name(arguments: Sequence[str]) -> str:
    """Return `khaacho web`, `khaacho worker whatsapp,reports`, `khaacho beat` or `khaacho COMMAND`.

    A worker without queues named does all of them. PgBouncer keeps the name apart for each client.
    """
    _, name = kind_of(arguments)
    if name == "worker" and (queues := _queues(arguments)):
        name = f"{name} {queues}"
    return f"khaacho {name}"[:LONGEST]


def _queues(arguments: Sequence[str]) -> str:
    for number, word in enumerate(arguments):
        if word in ("-Q", "--queues"):
            return "".join(arguments[number + 1 : number + 2])
        if word.startswith("--queues="):
            return word.removeprefix("--queues=")
        if word.startswith("-Q"):
            return word[2:]
    return ""
