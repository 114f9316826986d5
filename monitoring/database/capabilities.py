"""What this server and this role can tell, and the command for each thing that is lacking."""

from collections.abc import Iterable
from dataclasses import dataclass

from monitoring.database import access

NEEDED_FOR_STATEMENTS = ("pgss.library", "pgss.extension", "pgss.tracking")


@dataclass(frozen=True)
class Capability:
    """One thing that the pages need: `fix` is the command that mends it when it is not `ok`."""

    id: str
    ok: bool
    what: str
    fix: str


def capabilities() -> list[Capability]:
    """Return all of them, what is lacking first. Raises Unavailable."""
    return access.records(Capability, "monitor.capabilities", order="ok, id", limit=100)


def lacking(ids: Iterable[str]) -> list[Capability]:
    """Return those of `ids` that are lacking, in the order given: mended one after the other."""
    found = {each.id: each for each in capabilities()}
    return [found[name] for name in ids if name in found and not found[name].ok]
