"""Fill deploy/'s templates in: python3 deploy/render.py nginx | pgbouncer TARGET [NAME=VALUE …] [--values FILE] [--tls].

Values come from nginx/edge.env or pgbouncer/pgbouncer.env, then from FILE, then from the command line. For machines without a
container, where envsubst is not at hand; the standard library only. Nothing is written unless every name has a value.
"""

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
NAME = re.compile(r"\$\{([A-Z][A-Z0-9_]*)\}")
FILES = {
    "nginx": {"nginx": "nginx", "http": "http", "server": "server", "site": "site"},
    "pgbouncer": {"pgbouncer": "pgbouncer"},
}
SUFFIX = {"nginx": ".conf", "pgbouncer": ".ini"}


class Missing(ValueError):
    """A template asks for what has no value."""


def names(text: str) -> set[str]:
    """Return what a template asks for."""
    return set(NAME.findall(text))


def render(text: str, values: Mapping[str, str]) -> str:
    """Fill a template in. Raises Missing with the names."""
    if missing := names(text) - values.keys():
        raise Missing(f"no value for {', '.join(sorted(missing))}")
    return NAME.sub(lambda found: values[found[1]], text)


def read_values(path: Path) -> dict[str, str]:
    """Return the values of an env file, as Docker reads it: no quotes, no expansion."""
    lines = (line for line in path.read_text().splitlines() if line and not line.startswith("#"))
    return dict(line.split("=", 1) for line in lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files; 0 when all were."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("server", choices=sorted(FILES))
    parser.add_argument("target", type=Path, help="folder")
    parser.add_argument("given", nargs="*", metavar="NAME=VALUE")
    parser.add_argument("--values", type=Path, help="a file of NAME=VALUE lines, without quotes")
    parser.add_argument("--tls", action="store_true", help="nginx: tls.conf in server.conf's place")
    options = parser.parse_args(argv)
    folder = HERE / options.server
    try:
        [defaults] = folder.glob("*.env")
        values = read_values(defaults)
        values |= read_values(options.values) if options.values else {}
        values |= dict(pair.split("=", 1) for pair in options.given)
        done = {
            target: render((folder / _source(source, options)).read_text(), values)
            for target, source in FILES[options.server].items()
        }
    except (OSError, ValueError) as error:
        print(f"render: {error}", file=sys.stderr)
        return 1
    options.target.mkdir(parents=True, exist_ok=True)
    for target, text in done.items():
        (options.target / f"{target}{SUFFIX[options.server]}").write_text(text)
    return 0


def _source(source: str, options: argparse.Namespace) -> str:
    chosen = "tls" if source == "server" and options.tls else source
    return chosen + SUFFIX[options.server]


if __name__ == "__main__":
    sys.exit(main())
