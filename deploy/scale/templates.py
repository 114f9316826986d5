"""The files of deploy/ with their ${NAMES} filled in, as envsubst does it in a container."""

from collections.abc import Mapping
from pathlib import Path

from deploy.local.accounts import Account, give
from deploy.local.files import LAYOUT, SetupError, write_private
from deploy.render import Missing, names, read_values, render

FILES = LAYOUT.checkout / "deploy"


def write(source: Path, target: Path, values: Mapping[str, str], account: Account | None) -> None:
    """Render a file of deploy/ where the servers' account alone can read it. Raises SetupError."""
    try:
        text = render(source.read_text(), values)
    except Missing as error:
        raise SetupError(f"{source}: {error}") from None
    write_private(target, text)
    give(target, account)


__all__ = ["FILES", "names", "read_values", "render", "write"]
