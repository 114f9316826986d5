"""python -m deploy.local demo | stop | logs | round | scale-demo | scale-stop | load | test | check | bench | chaos.

What the Makefile calls.
"""

import os
import sys
from collections.abc import Callable

from deploy.local import checks, demo
from deploy.local.files import LAYOUT, SetupError, say
from deploy.local.processes import exit_on_signals
from deploy.scale import command as scale
from deploy.scale.layout import SCALE

HIGHEST_PORT = 65_535


def _port(default: str = "8000") -> int:
    given = os.environ.get("PORT") or default
    if given == default == "0":
        return 0
    if not given.isdigit() or not 0 < int(given) <= HIGHEST_PORT:
        raise SetupError(f"PORT={given} is not a port: a number from 1 to {HIGHEST_PORT}")
    return int(given)


def _is_fresh() -> bool:
    return os.environ.get("FRESH", "") not in {"", "0"}


def _demo() -> int:
    demo.up(LAYOUT, port=_port(), fresh=_is_fresh())
    return 0


def _stop() -> int:
    if scale.down(SCALE):
        say("the scaled demo is stopped")
    demo.down(LAYOUT)
    return 0


def _scale_demo() -> int:
    orders = os.environ.get("ORDERS") or str(scale.ORDERS)
    if not orders.isdigit() or not int(orders):
        raise SetupError(f"ORDERS={orders} is not a number of orders")
    return scale.up(SCALE, port=_port("0"), fresh=_is_fresh(), orders=int(orders))


def _scale_stop() -> int:
    say("stopped" if scale.down(SCALE) else "nothing was running")
    return 0


def _logs() -> int:
    demo.follow_logs(LAYOUT)
    return 0


def _round() -> int:
    return demo.play_again(LAYOUT, os.environ.get("ORDERS", ""))


COMMANDS: dict[str, Callable[[], int]] = {
    "demo": _demo,
    "stop": _stop,
    "logs": _logs,
    "round": _round,
    "scale-demo": _scale_demo,
    "scale-stop": _scale_stop,
    "load": lambda: demo.load(LAYOUT, SCALE),
    "test": lambda: checks.test(LAYOUT),
    "check": lambda: checks.check(LAYOUT),
    "bench": lambda: checks.bench(LAYOUT),
    "chaos": lambda: checks.chaos(LAYOUT),
}


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code; what a person can mend is said in one message."""
    command = COMMANDS.get(arguments[0]) if len(arguments) == 1 else None
    if command is None:
        say(__doc__ or "")
        return 2
    exit_on_signals()
    try:
        return command()
    except SetupError as error:
        say(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        say("interrupted; the same command goes on from here, make stop ends what runs")
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
