"""Real threads with connections of their own, released together."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence

from django.db import connection, connections


def race(*calls: Callable[[], object]) -> Counter[str]:
    """Run all calls at once, each in a thread; return how often each outcome came.

    An outcome is "ok" or the exception's class name.
    """
    outcomes: list[str] = []
    barrier = threading.Barrier(len(calls))

    def run(call: Callable[[], object]) -> None:
        try:
            with (
                connection.cursor() as cursor
            ):  # patience for a slow machine; a deadlock still shows
                cursor.execute("SET lock_timeout = '60s'")
            barrier.wait(60)
            call()
            outcomes.append("ok")
        except Exception as error:
            outcomes.append(type(error).__name__)
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads), "a thread never came back"
    return Counter(outcomes)


def crowd(calls: Sequence[Callable[[], object]] | Callable[[], object], size: int) -> Counter[str]:
    """Run one call `size` times at once, or the calls in turn."""
    many = [calls] * size if callable(calls) else [calls[i % len(calls)] for i in range(size)]
    return race(*many)
