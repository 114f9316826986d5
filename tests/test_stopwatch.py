"""A bound of time that could not be passed would be none."""

import time

from tests.stopwatch import Stopwatch


def test_sleep_and_work_count():
    watch = Stopwatch()
    time.sleep(0.2)
    assert watch.seconds > 0.19
    watch, used = Stopwatch(), time.thread_time()
    while time.thread_time() - used < 0.1:
        pass
    assert watch.seconds > 0.09
