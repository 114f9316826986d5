"""Ending sessions: real ones that hold locks, and only the one that was meant."""

import contextlib
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, connections

from khaacho import permissions, tenants
from khaacho.enums import Role
from khaacho.exceptions import Conflict, Forbidden
from khaacho.models import AuditLog
from monitoring import blocking
from monitoring.blocking import Effect, SessionGone, SessionReplaced
from tests.factories import make_user
from tests.monitoring.sessions import chain, sessions, state_of
from tests.processes import wait_for

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "monitor"])


@pytest.fixture
def keeper():
    permissions.sync_groups()
    return tenants.actor_of(make_user(Role.ADMIN, is_superuser=True))


@pytest.fixture
def as_role():
    """Let the monitoring be somebody who has the roles given and no other right."""
    with contextlib.ExitStack() as stack:
        yield lambda name, *roles: stack.enter_context(_monitor_as(name, *roles))


@contextlib.contextmanager
def _monitor_as(name, *roles):
    monitor = connections["monitor"]
    options = monitor.settings_dict["OPTIONS"]
    before = options.get("options", "")
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE ROLE {name} NOLOGIN")
        for role in roles:
            cursor.execute(f"GRANT {role} TO {name}")
    monitor.close()
    options["options"] = f"{before} -c role={name}"
    try:
        yield
    finally:
        monitor.close()
        options["options"] = before
        with connection.cursor() as cursor:
            cursor.execute(f"DROP ROLE {name}")


def end(act, session, actor, *, start=None):
    return act(
        pid=session.pid,
        backend_start=start or session.start,
        reason="It blocks orders.",
        actor=actor,
    )


def entries():
    return list(AuditLog.objects.filter(entity_type="session").order_by("id"))


def test_cancels_the_root_of_a_chain_of_four(keeper):
    with chain("root", "b", "c", "d", root_runs="SELECT pg_sleep(25)") as links:
        root, b, c, d = links
        found = blocking.find(root.pid)
        assert found.blocked == (b.pid,)
        assert (found.application, found.state) == ("root", "active")
        ended = end(blocking.cancel_session, root, keeper)
        assert ended.effect == Effect.STOPPED
        assert root.join() == "QueryCanceled"
        assert b.join() == "ok"
        b.raw.rollback()
        assert c.join() == "ok"
        c.raw.rollback()
        assert d.join() == "ok"
        assert state_of(root.pid) is not None
        (entry,) = entries()
        assert (entry.action, entry.entity_id, entry.user_id, entry.reason) == (
            "session.cancelled",
            root.pid,
            keeper.user_id,
            "It blocks orders.",
        )
        assert entry.new_values["blocked"] == [b.pid]
        assert entry.new_values["query"] == "SELECT pg_sleep(25)"
        assert entry.new_values["effect"] == "stopped"


def test_terminates_a_root_that_is_idle_in_its_transaction(keeper):
    with chain("root", "b") as (root, b):
        with pytest.raises(Conflict, match="nothing to cancel"):
            end(blocking.cancel_session, root, keeper)
        assert b.outcome == ""
        ended = end(blocking.terminate_session, root, keeper)
        assert ended.effect == Effect.GONE
        assert b.join() == "ok"
        assert state_of(root.pid) is None
        assert [entry.action for entry in entries()] == ["session.terminated"]
        with pytest.raises(SessionGone):
            end(blocking.terminate_session, root, keeper)
        assert len(entries()) == 1


def test_refuses_a_number_that_is_another_session_by_now(keeper):
    with chain("root", "b") as (root, b):
        for act in (blocking.cancel_session, blocking.terminate_session):
            with pytest.raises(SessionReplaced):
                end(act, root, keeper, start=root.start + timedelta(microseconds=1))
        assert state_of(root.pid) == ("idle in transaction", "Client")
        assert b.outcome == ""
        assert entries() == []


def test_compares_the_beginning_in_the_very_statement_that_signals(keeper):
    """Whoever got the number between the look and the signal is left alone."""
    with sessions("victim") as (victim,):
        seen = blocking.find(victim.pid)
        other = blocking.Session(
            **{**vars(seen), "backend_start": seen.backend_start - timedelta(seconds=1)}
        )
        with pytest.raises(SessionReplaced):
            blocking._signal(other, "pg_terminate_backend")
        assert state_of(victim.pid) is not None


def test_terminates_a_running_statement_only_after_it_was_cancelled(keeper):
    with sessions("stubborn") as (stubborn,):
        stubborn.begin("SELECT pg_sleep(25)")
        wait_for(lambda: state_of(stubborn.pid)[0] == "active")
        with pytest.raises(Conflict, match="cancel that first"):
            end(blocking.terminate_session, stubborn, keeper)
        end(blocking.cancel_session, stubborn, keeper)
        assert stubborn.join() == "QueryCanceled"
        stubborn.raw.rollback()
        stubborn.begin("SELECT pg_sleep(25)")
        wait_for(lambda: state_of(stubborn.pid)[0] == "active")
        assert end(blocking.terminate_session, stubborn, keeper).effect == Effect.GONE
        assert stubborn.join() == "AdminShutdown"


def test_leaves_itself_other_databases_and_the_servers_own_processes_alone(keeper):
    own = blocking.find(connection.connection.info.backend_pid)
    with pytest.raises(Conflict, match="of this very page"):
        end_of(own, keeper)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'")
        checkpointer = blocking.find(cursor.fetchone()[0])
    with pytest.raises(Conflict, match="a process of PostgreSQL itself: checkpointer"):
        end_of(checkpointer, keeper)
    with sessions_of(dbname="postgres") as raw:
        elsewhere = blocking.find(raw.info.backend_pid)
        with pytest.raises(Conflict, match="another database"):
            end_of(elsewhere, keeper)
        assert raw.execute("SELECT 1").fetchone() == (1,)
    assert entries() == []


def end_of(session, actor):
    return blocking.terminate_session(
        pid=session.pid, backend_start=session.backend_start, reason="x", actor=actor
    )


def sessions_of(**changed):
    return psycopg.connect(**{**connection.get_connection_params(), **changed})


def test_only_those_who_may_end_sessions(keeper):
    permissions.sync_groups()
    clerk = tenants.actor_of(make_user(Role.OPERATOR))
    with sessions("victim") as (victim,):
        for act in (blocking.cancel_session, blocking.terminate_session):
            with pytest.raises(Forbidden, match="Your groups do not allow this"):
                end(act, victim, clerk)
        assert state_of(victim.pid) is not None


def test_says_which_right_the_database_user_lacks(keeper, as_role):
    """A superuser's session is for superusers; another user's needs a right that can be granted."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE some_clerk LOGIN")
    try:
        with sessions("victim") as (victim,), sessions_of(user="some_clerk") as clerks:
            as_role("no_signaller", "pg_read_all_stats")
            with pytest.raises(blocking.NoRight) as refusal:
                end(blocking.terminate_session, victim, keeper)
            assert refusal.value.remedy == f"SELECT pg_terminate_backend({victim.pid});"
            clerk = blocking.find(clerks.info.backend_pid)
            with pytest.raises(blocking.NoRight) as refusal:
                end_of(clerk, keeper)
            assert refusal.value.remedy == 'GRANT pg_signal_backend TO "no_signaller";'
            with connection.cursor() as cursor:
                cursor.execute(refusal.value.remedy)
            connections["monitor"].close()
            assert end_of(clerk, keeper).effect == Effect.GONE
            assert state_of(victim.pid) is not None
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP ROLE some_clerk")


def test_says_that_it_may_not_even_see(keeper, as_role):
    with sessions("victim") as (victim,):
        as_role("no_seer")
        with pytest.raises(blocking.NoRight) as refusal:
            end(blocking.terminate_session, victim, keeper)
        assert refusal.value.remedy == 'GRANT pg_read_all_stats TO "no_seer";'
    assert entries() == []
