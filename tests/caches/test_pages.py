"""Pages: kept, forgotten at commits, never stale after one, computed once however many ask."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest
import redis
from django.conf import settings
from django.db import connection, connections, transaction

from khaacho import breaker, caches, jobs, sql
from khaacho.caches import FORGET_ALL, MAX_BYTES, Page, Slot, Visit
from khaacho.models import Job
from tests.caches.conftest import SLOT, at_most, look, page
from tests.factories import make_product
from tests.processes import RedisServer, free_port
from vendors.models import Product

pytestmark = pytest.mark.django_db(transaction=True)


def never() -> Page:
    raise AssertionError("computed again")


def forget(*groups: str) -> None:
    with transaction.atomic():
        caches.forget(*groups)


def keys(client: redis.Redis, kind: str) -> list[str]:
    return sorted(key.decode().split(":", 2)[2] for key in client.keys(f"khaacho:*:{kind}:*"))


def test_is_kept():
    assert look("one") == "one"
    assert look(never) == "one"
    kept = Visit(SLOT).page_or(never)
    assert kept == page("one")


def test_goes_with_any_of_its_groups():
    for group in ("shelf", "shop", caches.ALL):
        look("old")
        forget(group)
        assert look("new") == "new"
        forget(group)


def test_stays_when_another_group_goes():
    look("one")
    forget("other", "shelf:1")
    assert look(never) == "one"


def test_is_forgotten_at_the_commit_and_not_before():
    look("old")
    with ThreadPoolExecutor(1) as other, transaction.atomic():
        caches.forget("shelf")
        assert other.submit(look, never).result() == "old"
    assert look("new") == "new"


def test_is_not_forgotten_by_what_is_rolled_back():
    look("one")
    with transaction.atomic():
        caches.forget("shelf")
        transaction.set_rollback(True)
    assert look(never) == "one"


def test_what_was_read_before_a_commit_is_not_kept_after_it():
    """The race of every cache: a slow reader stores what a writer has just changed."""
    product = make_product(name="old")
    has_read, may_keep = threading.Event(), threading.Event()

    def slow() -> Page:
        name = Product.objects.get(pk=product.pk).name
        connections.close_all()
        has_read.set()
        assert may_keep.wait(10)
        return page(name)

    with ThreadPoolExecutor(1) as other:
        reader = other.submit(look, slow)
        assert has_read.wait(10)
        with transaction.atomic():
            Product.objects.update(name="new")
            caches.forget("shelf")
        assert look(lambda: page(Product.objects.get().name)) == "new"  # nor is it waited for
        may_keep.set()
        assert reader.result() == "old"  # he began before the commit
    assert look(lambda: page(Product.objects.get().name)) == "new"


@dataclass
class Shelf:
    """A figure that a writer raises and readers look at, and what they noted."""

    product_id: int
    begun: float
    committed: int = 1
    seen: list[int] = field(default_factory=list)
    stale: list[tuple[int, int]] = field(default_factory=list)

    def goes_on(self) -> bool:
        """For two seconds, and until fifty commits were seen, which take longer where others compute too."""
        passed = time.monotonic() - self.begun
        return passed < 2 or (self.committed <= 50 and passed < 30)

    def write(self) -> None:
        number = 1
        while self.goes_on():
            number += 1
            with transaction.atomic():
                Product.objects.filter(pk=self.product_id).update(max_quantity=number)
                caches.forget("shelf")
            self.committed = number
            time.sleep(0.003)
        connections.close_all()

    def read(self) -> None:
        while self.goes_on():
            least = self.committed
            found = int(look(self.now) or 0)
            self.seen.append(found)
            if found < least:
                self.stale.append((found, least))
            # or, on one core, eight that read keep the ninth from the interpreter
            time.sleep(0.001)
        connections.close_all()

    def now(self) -> Page:
        return page(str(Product.objects.get(pk=self.product_id).max_quantity))


def test_readers_never_see_less_than_was_committed_when_they_began():
    """Eight readers and a writer for two seconds or more: whoever begins after a commit sees it."""
    shelf = Shelf(make_product(max_quantity=1).pk, time.monotonic())
    with ThreadPoolExecutor(9) as crowd:
        runs = [crowd.submit(run) for run in [shelf.write] + [shelf.read] * 8]
        assert [run.result() for run in runs] == [None] * 9
    assert shelf.stale == []
    assert shelf.committed > 50
    assert len(shelf.seen) > 2 * len(set(shelf.seen))  # it was a cache all the same


def test_a_figure_may_be_a_few_seconds_old(settings, monkeypatch):
    monkeypatch.setattr(caches, "SOON_SECONDS", 0.9)
    look("12 left")
    for _ in range(3):
        caches.forget_soon("shelf")
        assert look(never) == "12 left"
        time.sleep(0.1)
    time.sleep(0.7)
    assert look("9 left") == "9 left"
    assert look(never) == "9 left"


def test_a_transaction_reads_and_keeps_nothing():
    look("committed")
    with transaction.atomic():
        assert look("uncommitted") == "uncommitted"
    assert look(never) == "committed"


def test_nothing_is_kept_of_what_is_no_page(client):
    assert look(lambda: None) is None
    assert look("x" * (MAX_BYTES + 1)) == "x" * (MAX_BYTES + 1)
    with pytest.raises(ZeroDivisionError):
        look(lambda: 1 / 0)
    assert keys(client, "page") == []
    assert look("one") == "one"


def test_those_who_wait_for_what_is_no_page_do_not_queue():
    def slow() -> None:
        time.sleep(0.2)

    with ThreadPoolExecutor(20) as crowd, at_most(3.5):  # 4 in a queue
        assert set(crowd.map(lambda _: look(slow), range(20))) == {None}


@pytest.fixture
def unhurried(settings, monkeypatch):
    """Nobody gives up, or is given up, because fifty threads take turns at one interpreter."""
    settings.REDIS_TIMEOUT = 10
    monkeypatch.setattr(caches, "WAIT_SECONDS", 10)
    monkeypatch.setattr(caches, "LEASE_SECONDS", 5)


def test_fifty_at_once_compute_once(unhurried):
    computed = []

    def slow() -> Page:
        computed.append(time.monotonic())
        time.sleep(0.3)
        return page("one")

    with ThreadPoolExecutor(50) as crowd, at_most(5):
        assert set(crowd.map(lambda _: look(slow), range(50))) == {"one"}
    assert len(computed) == 1


def test_the_one_who_computes_may_die(unhurried, monkeypatch):
    """A lease ends: of those who wait, one takes over."""
    dead = Visit(SLOT)
    with monkeypatch.context() as short:
        short.setattr(caches, "LEASE_SECONDS", 1)
        assert dead._look() == (None, True)
    computed = []

    def take_over() -> Page:
        computed.append(1)
        return page("by another")

    with ThreadPoolExecutor(50) as crowd, at_most(9):
        assert set(crowd.map(lambda _: look(take_over), range(50))) == {"by another"}
    assert len(computed) == 1


def test_nobody_waits_for_ever(monkeypatch):
    """A page that takes longer than anybody waits is computed by each for himself, after the bound."""
    monkeypatch.setattr(caches, "WAIT_SECONDS", 0.3)
    held = Visit(SLOT)
    assert held._look() == (None, True)
    with at_most(0.8):
        assert look("my own") == "my own"


def test_is_computed_early_by_one_while_the_others_have_it():
    """XFetch: near the end, and the likelier the dearer the page was."""
    last = Slot("dear", (), 4)
    computed = []

    def dear() -> Page:
        computed.append(1)
        time.sleep(0.2)
        return page(str(len(computed)))

    look(dear, last)
    until, answers = time.monotonic() + 5, []
    with ThreadPoolExecutor(6) as crowd:

        def visit(_: int) -> None:
            while time.monotonic() < until:
                begun = time.monotonic()
                look(dear, last)
                answers.append(time.monotonic() - begun)
                time.sleep(0.01)

        list(crowd.map(visit, range(6)))
    assert 2 <= len(computed) <= 4
    assert sum(took > 0.2 for took in answers) <= len(computed)


def test_early_is_by_chance():
    chances = [sum(Visit._is_due(100, left) for _ in range(2000)) for left in (50, 300, 5000)]
    assert chances[0] > 900  # 1 - e^-0.5 … of 2000 e^-0.5 = 1213
    assert 50 < chances[1] < 200  # e^-3
    assert chances[2] == 0


def test_no_more_pages_than_allowed(client, monkeypatch):
    monkeypatch.setattr(caches, "MAX_PAGES", 10)
    for number in range(25):
        look(str(number), Slot(f"page {number}", ("shelf",), 600 + number * 100))
    assert len(keys(client, "page")) == 10
    assert look(never, Slot("page 24", ("shelf",), 600)) == "24"


def test_everything_expires(client):
    look("one")
    look(lambda: None, Slot("nothing", ("shelf",), 60))
    for key in client.keys("*"):
        if not key.endswith(b":pages"):  # trimmed with every page that is kept
            assert 0 < client.ttl(key) <= caches.TOKEN_SECONDS
    (kept,) = client.keys("*:page:*")
    assert 540 - 1 <= client.ttl(kept) <= 600


def test_another_release_reads_no_page_of_this_one(monkeypatch):
    look("old shape")
    monkeypatch.setattr(caches, "release", lambda: "another")
    assert look("new shape") == "new shape"


def test_release_is_a_digest_of_our_code():
    assert len(caches.release()) == 32
    assert caches.release() == caches.release()


def test_a_server_that_restarts_from_an_old_snapshot_starts_empty(tmp_path, settings):
    """It would believe in pages whose end it has forgotten."""
    options = ("--dir", str(tmp_path), "--dbfilename", "dump.rdb")
    server = RedisServer(free_port())
    settings.CACHE_URL = server.url
    server.start(*options)
    try:
        look("old")
        with server.client as client:
            client.save()
        forget("shelf")
        server.stop()
        server.start(*options)
        with server.client as client:
            assert len(client.keys("*:page:*")) == 1
        assert look("new") == "new"
    finally:
        server.stop()


def test_forgetting_that_redis_did_not_hear_is_made_good(own):
    """A verb while Redis hangs: when it is back, nobody sees the page from before."""
    look("old")
    breaker.breaker_of(own.url).trip()
    forget("shelf")
    breaker.close_all()
    assert look("new") == "new"


def test_forgetting_is_made_good_by_a_job_if_the_process_died(own, monkeypatch):
    look("old")
    breaker.breaker_of(own.url).trip()
    forget("shelf")
    monkeypatch.setattr(caches, "_debt", caches._Debt())  # another process, that knows of nothing
    breaker.close_all()
    assert look(never) == "old"
    job = Job.objects.get(kind=FORGET_ALL)
    sql.execute("UPDATE jobs SET run_after = now() WHERE id = %s", [job.pk])
    assert jobs.run(job.pk)
    assert look("new") == "new"


def test_the_job_comes_back_until_redis_does(own, monkeypatch):
    monkeypatch.setattr(caches, "_debt", caches._Debt())
    own.freeze()
    for _ in range(3):
        forget("shelf")
    job = Job.objects.get(kind=FORGET_ALL)
    sql.execute("UPDATE jobs SET run_after = now() WHERE id = %s", [job.pk])
    jobs.run(job.pk)
    waiting = Job.objects.get(kind=FORGET_ALL, state="queued")
    assert waiting.run_after > waiting.created_at
    own.thaw()


def test_needs_no_database(django_assert_num_queries):
    with django_assert_num_queries(0):
        look("one")
        look(never)
    assert settings.CACHE_URL
    assert connection.in_atomic_block is False
