"""What one process counts: exact sums from any number of threads, in bounded memory, anew after a fork."""

import os
import random
import threading
import tracemalloc

import pytest

from monitoring import durations
from monitoring.sources import recorder as module
from monitoring.sources.places import Place
from monitoring.sources.recorder import MOST, NOWHERE, TEXTS, Counts, Recorder, bucket, recorder
from monitoring.sources.shapes import OTHER, fingerprint

KEY = ("route", "orders", "GET")


def test_counts_by_form_and_origin():
    own = Recorder()
    own.note("SELECT 1", KEY, 0.001, False)
    own.note("SELECT 2", KEY, 0.003, True)
    own.note("SELECT 2", ("job", "k", ""), 0.002, False)
    taken = own.take()
    assert set(taken.forms) == {fingerprint("SELECT 1")}
    counts = taken.statements[fingerprint("SELECT 1"), KEY]
    assert (counts.calls, counts.errors) == (2, 1)
    assert counts.seconds == pytest.approx(0.004)
    assert counts.buckets == {bucket(0.001): 1, bucket(0.003): 1}
    assert taken.statements[fingerprint("SELECT 1"), ("job", "k", "")].calls == 1
    assert own.take().is_empty


def test_asks_for_the_place_first_and_then_seldom():
    own = Recorder()
    asked = [own.note("SELECT 1", KEY, 0.001, False) is not None for _ in range(600)]
    assert [number for number, is_asked in enumerate(asked) if is_asked] == [0, 256, 512]


def test_keeps_few_places_of_one_statement():
    counts = Counts()
    for line in range(10):
        counts.see(Place("a.py", line, "f"))
    counts.see(Place("a.py", 0, "f"))
    assert {place.line: count for place, count in counts.places.items()} == {0: 2, 1: 1, 2: 1, 3: 1}


def test_percentiles_are_within_the_stated_error():
    chance = random.Random(7)
    own = Recorder()
    exact = [chance.lognormvariate(-6, 1.5) for _ in range(20_000)]
    for seconds in exact:
        own.note("SELECT 1", KEY, seconds, False)
    (counts,) = own.take().statements.values()
    exact.sort()
    for share in (0.5, 0.95, 0.99):
        found = durations.percentile(counts.buckets, share)
        true = exact[int(share * len(exact)) - 1] * 1e6
        assert found == pytest.approx(true, rel=durations.ERROR + 1e-9, abs=1)


def test_threads_lose_nothing():
    own, parties = Recorder(), 8
    barrier = threading.Barrier(parties)
    taken = []

    def work(number):
        barrier.wait()
        for turn in range(3_000):
            own.note(f"SELECT {turn % 3} FROM t{turn % 5}", KEY, 0.001, False)
            own.end(KEY, "2xx", 0.001, 2, 0.0005)
            if number == 0 and turn % 100 == 0:
                taken.append(own.take())
            if number == 1 and turn % 500 == 0:
                own.give_back(own.take())

    threads = [threading.Thread(target=work, args=(number,)) for number in range(parties)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken.append(own.take())
    assert sum(c.calls for seen in taken for c in seen.statements.values()) == parties * 3_000
    assert (
        sum(n for seen in taken for c in seen.statements.values() for n in c.buckets.values())
        == parties * 3_000
    )
    ended = [each for seen in taken for each in seen.ended.values()]
    assert sum(each.counts.calls for each in ended) == parties * 3_000
    assert sum(each.statements for each in ended) == parties * 6_000


def test_statements_beyond_the_bound_count_as_other():
    own = Recorder()
    for number in range(MOST + 500):
        own.note(f"SELECT a{number}", KEY, 0.001, False)
    taken = own.take()
    assert len(taken.statements) == MOST + 1
    assert taken.statements[OTHER, NOWHERE].calls == 500
    assert sum(c.calls for c in taken.statements.values()) == MOST + 500


def test_origins_beyond_the_bound_count_as_other():
    own = Recorder()
    for number in range(MOST + 500):
        own.end(("job", f"k{number}", ""), "done", 0.001, 0, 0.0)
    taken = own.take()
    assert len(taken.ended) == MOST + 1
    assert taken.ended[NOWHERE, "done"].counts.calls == 500


def test_memory_is_bounded_however_many_texts():
    own = Recorder()
    tracemalloc.start()
    try:
        for number in range(3 * TEXTS):
            own.note(f"SELECT a FROM t WHERE b = {number}", KEY, 0.001, False)  # one form
        own.note("SELECT " + "a, " * 100_000 + "b", KEY, 0.001, False)
        assert len(own.fingerprints) <= TEXTS
        assert len(own.known) <= 2 * MOST
        assert max(len(form) for form in own.seen.forms.values()) <= module.LONG
        assert tracemalloc.get_traced_memory()[0] < 8 * 2**20
    finally:
        tracemalloc.stop()
    assert {c.calls for c in own.take().statements.values()} == {3 * TEXTS, 1}


def test_what_could_not_be_published_is_added_to_what_came_since():
    own = Recorder()
    own.note("SELECT 1", KEY, 0.001, False)
    own.end(KEY, "2xx", 0.002, 1, 0.001)
    taken = own.take()
    own.note("SELECT 1", KEY, 0.001, True)
    own.end(KEY, "2xx", 0.002, 3, 0.001)
    own.give_back(taken)
    again = own.take()
    (counts,) = again.statements.values()
    assert (counts.calls, counts.errors, counts.buckets) == (2, 1, {bucket(0.001): 2})
    assert again.ended[KEY, "2xx"].statements == 4
    assert again.forms == taken.forms


def test_what_is_given_back_for_hours_stays_bounded():
    own = Recorder()
    for hour in range(5):
        for number in range(MOST // 2):
            own.note(f"SELECT a{hour}_{number}", KEY, 0.001, False)
        own.give_back(own.take())
    taken = own.take()
    assert len(taken.statements) <= MOST + 1
    assert sum(c.calls for c in taken.statements.values()) == 5 * (MOST // 2)


@pytest.mark.processes
def test_a_child_begins_anew_and_its_parent_goes_on():
    recorder.note("SELECT 1", KEY, 0.001, False)
    held, release = threading.Event(), threading.Event()

    def hold():
        with recorder.lock:
            held.set()
            release.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(10)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # the lock was another thread's as we were made
        recorder.note("SELECT 2 FROM t", KEY, 0.001, False)
        calls = [c.calls for c in recorder.take().statements.values()]
        os.write(writing, repr(calls).encode())
        os._exit(0)
    release.set()
    thread.join()
    os.waitpid(child, 0)
    assert os.read(reading, 100) == b"[1]"
    os.close(reading)
    os.close(writing)
    assert [c.calls for c in recorder.take().statements.values()] == [1]
