"""The demo trade: `python -m bench.trade load --help`."""

import argparse
import os
import sys
from collections.abc import Sequence

import django

from bench.trade import load, play


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.trade", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    load.add_command(commands)
    play.add_command(commands)
    arguments = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
