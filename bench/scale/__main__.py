"""A trade of any size, for the planner and for measuring: `python -m bench.scale load --help`."""

import argparse
import os
import sys
from collections.abc import Sequence

import django

from bench.scale import command


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="command")
    command.add_load(commands)
    command.add_demand(commands)
    command.add_plans(commands)
    arguments = parser.parse_args(argv)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "khaacho.settings")
    django.setup()
    return int(arguments.run(arguments))


if __name__ == "__main__":
    sys.exit(main())
