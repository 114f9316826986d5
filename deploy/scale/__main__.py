"""What deploy/rolling.sh and deploy/release.sh restart in the scaled demo, one process at a time:

python -m deploy.scale restart NUMBER PORT | restart-worker NAME | restart-beat
"""

import os
import sys

from deploy.local.files import SetupError, say
from deploy.scale import site
from deploy.scale.layout import SCALE


def main(arguments: list[str]) -> int:
    """Run the command and return its exit code."""
    match arguments:
        case ["restart", number, _port] if number in {"1", "2"}:
            name = f"web-{number}"
        case ["restart-worker", queues] if queues in site.QUEUES:
            name = f"worker-{queues}"
        case ["restart-beat"]:
            name = "beat"
        case _:
            say(__doc__ or "")
            return 2
    try:
        site.restart(SCALE, os.environ.get("SCALE_RELEASE", "this"), name)
    except SetupError as error:
        say(f"error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
