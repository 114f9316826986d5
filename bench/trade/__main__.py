"""The demo trade: `python -m bench.trade load --help`."""

import argparse
import os
import sys
from collections.abc import Sequence

import django


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    from bench.trade import load, play  # noqa: PLC0415 - models need django.setup()

    parser = argparse.ArgumentParser(prog="python -m bench.trade", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    load.add_command(commands)
    play.add_command(commands)
    arguments = parser.parse_args(argv)
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
