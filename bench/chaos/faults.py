"""What each fault does: `begin` breaks, what it returns mends. Both say what happened."""

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import redis

from bench.chaos.servers import signal_all
from bench.chaos.stage import Piece, Stage, kill
from deploy.local import redis_server
from deploy.local.files import read
from khaacho.broker import depths
from khaacho.enums import Queue

WAKING_SECONDS = 1.0  # longer than a counted job takes
PILE_SECONDS = 1.0  # in which pointers pile up in Redis before they are flushed

Mend: TypeAlias = Callable[[], str]
Begin: TypeAlias = Callable[[Stage], tuple[str, Mend]]


class NotNow(Exception):
    """There is nothing to break at this moment; try again."""


def nothing() -> str:
    return ""


def begin(name: str, stage: Stage) -> tuple[str, Mend]:
    """Break it; return what was broken, and what mends it. Raises NotNow."""
    return BEGIN[name](stage)


def redis_freeze(stage: Stage) -> tuple[str, Mend]:
    stage.servers.freeze_redis()

    def mend() -> str:
        stage.servers.thaw_redis()
        return ""

    return "", mend


def redis_kill(stage: Stage) -> tuple[str, Mend]:
    stage.servers.end_redis()

    def mend() -> str:
        with redis_server.connect(stage.servers.start_redis(), seconds=2) as client:
            return f"{client.dbsize()} keys came back"

    return f"{'with' if stage.servers.persist else 'without'} persistence", mend


def redis_flush(stage: Stage) -> tuple[str, Mend]:
    """Let pointers pile up before stopped workers, and flush them."""
    everyone = [pid for node in _awake(stage) for pid in node.everyone()]
    signal_all(everyone, signal.SIGSTOP)
    time.sleep(PILE_SECONDS)
    lost = sum((depths(Queue.values) or {}).values())
    with redis_server.connect(stage.services.redis_url, seconds=2) as client:
        try:
            client.flushall()
        except redis.RedisError as error:
            return f"it did not listen: {type(error).__name__}", _waking(everyone)
    return f"{lost} pointers were lost", _waking(everyone)


def _awake(stage: Stage) -> list[Piece]:
    """Return the workers that run and that no other fault has put to sleep."""
    running = [node for node in stage.nodes() if node.daemon.running]
    return [
        node
        for node in running
        if read(Path(f"/proc/{node.pid}/stat")).rpartition(")")[2].split()[:1] != ["T"]
    ]


def _waking(pids: list[int]) -> Mend:
    def mend() -> str:
        signal_all(pids, signal.SIGCONT)
        return ""

    return mend


def _caught(stage: Stage) -> tuple[Piece, list[int]]:
    """Return a worker that is stopped in the middle of a job, and its children that have one.

    Raises NotNow when none is at work.
    """
    for node in _awake(stage):
        if stage.at_work(node):
            signal_all(node.everyone(), signal.SIGSTOP)
            if busy := stage.at_work(node):
                return node, busy
            signal_all(node.everyone(), signal.SIGCONT)
    raise NotNow


def zombie(stage: Stage) -> tuple[str, Mend]:
    """Let a worker sleep. Its children wake first: their parent would end them for their time limits."""
    node, busy = _caught(stage)
    leader, children = node.pid, node.children()

    def mend() -> str:
        signal_all(children, signal.SIGCONT)
        time.sleep(WAKING_SECONDS)
        signal_all([leader], signal.SIGCONT)
        return ""

    return f"{node.name} sleeps over {len(busy)} jobs", mend


def worker_kill(stage: Stage) -> tuple[str, Mend]:
    node, busy = _caught(stage)
    kill(node.everyone())

    def mend() -> str:
        node.stop()  # what is left of it
        node.start()
        return ""

    return f"{node.name}, at {len(busy)} jobs", mend


def child_kill(stage: Stage) -> tuple[str, Mend]:
    node, busy = _caught(stage)
    kill(busy[:1])
    signal_all(node.everyone(), signal.SIGCONT)
    return f"of {node.name}", nothing


def no_beat(stage: Stage) -> tuple[str, Mend]:
    beats = [piece for name, piece in stage.pieces.items() if name.startswith("beat")]
    return _beats_away(beats)


def beat_kill(stage: Stage) -> tuple[str, Mend]:
    return _beats_away([stage.pieces["beat-1"]])


def _beats_away(beats: list[Piece]) -> tuple[str, Mend]:
    for beat in beats:
        if beat.daemon.running:
            kill([beat.pid])

    def mend() -> str:
        for beat in beats:
            beat.start()
        return ""

    return "", mend


def web_kill(stage: Stage) -> tuple[str, Mend]:
    kill(stage.pieces["web"].children()[:1])
    return "one of two", nothing


def _postgres(stage: Stage, sig: signal.Signals) -> tuple[str, Mend]:
    stage.servers.end_postgres(sig)

    def mend() -> str:
        begun = time.monotonic()
        stage.servers.start_postgres()
        return f"recovered in {time.monotonic() - begun:.1f} s"

    return "", mend


BEGIN: dict[str, Begin] = {
    "redis-freeze": redis_freeze,
    "redis-kill": redis_kill,
    "redis-flush": redis_flush,
    "zombie": zombie,
    "worker-kill": worker_kill,
    "child-kill": child_kill,
    "no-beat": no_beat,
    "beat-kill": beat_kill,
    "web-kill": web_kill,
    "postgres-stop": lambda stage: _postgres(stage, signal.SIGQUIT),
    "postgres-kill": lambda stage: _postgres(stage, signal.SIGKILL),
}
