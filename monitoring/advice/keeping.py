"""What was advised, kept: found again it is renewed, built it is measured, not found for long it is forgotten."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from django.utils import timezone
from psycopg.types.json import Jsonb

from khaacho import sql
from khaacho.transactions import verb
from monitoring.advice import candidates, relations, statements
from monitoring.advice.advisor import Advice, Suggestion
from monitoring.advice.candidates import Candidate
from monitoring.advice.conditions import Constant, Key
from monitoring.advice.hints import Hint
from monitoring.advice.planning import planning
from monitoring.advice.texts import quoted
from monitoring.enums import AdviceState
from monitoring.models import AdviceRun, IndexAdvice

FORGOTTEN_AFTER = timedelta(days=14)
RUNS_KEPT = 30
TEXT_MAX = 2000  # of a statement's text beside the advice

KEEP = """
INSERT INTO index_advice AS kept ("table", definition, shape, is_verified, size, saved_ms, workload_ms,
    entries_written, helped, makes_redundant, measured)
VALUES (%(table)s, %(definition)s, %(shape)s, %(is_verified)s, %(size)s, %(saved_ms)s, %(workload_ms)s,
    %(entries_written)s, %(helped)s, %(makes_redundant)s, '{}')
ON CONFLICT ("table", definition) DO UPDATE SET
    shape = EXCLUDED.shape, is_verified = EXCLUDED.is_verified, size = EXCLUDED.size,
    saved_ms = EXCLUDED.saved_ms, workload_ms = EXCLUDED.workload_ms,
    entries_written = EXCLUDED.entries_written, helped = EXCLUDED.helped,
    makes_redundant = EXCLUDED.makes_redundant, last_seen_at = statement_timestamp(),
    state = CASE kept.state WHEN 'created' THEN 'open' ELSE kept.state END,
    index_name = '', index_seen_at = NULL, measured = '{}'
"""
RUN = """
INSERT INTO index_advice_runs (planned, candidates, found, seconds, is_verified, is_complete, skipped)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
FORGET_RUNS = """
DELETE FROM index_advice_runs WHERE id NOT IN (SELECT id FROM index_advice_runs ORDER BY id DESC LIMIT %s)
"""


@verb
def store(advice: Advice) -> int:
    """Keep what a search found; return how much advice is open.

    Dismissed advice stays dismissed. Advice whose index is there now is closed, with what its statements
    had taken until then. Open advice that was not found for 14 days is forgotten.
    """
    for suggestion in advice.suggestions:
        sql.execute(KEEP, _suggested(suggestion))
    for hint in advice.hints:
        sql.execute(KEEP, _hinted(hint))
    notice_created()
    now = timezone.now()
    IndexAdvice.objects.filter(
        state=AdviceState.OPEN, last_seen_at__lt=now - FORGOTTEN_AFTER
    ).delete()
    found = len(advice.suggestions) + len(advice.hints)
    skipped = Jsonb({str(queryid): why for queryid, why in advice.skipped.items()})
    values = (advice.planned, advice.candidates, found, advice.seconds)
    sql.execute(RUN, [*values, advice.is_verified, advice.is_complete, skipped])
    sql.execute(FORGET_RUNS, [RUNS_KEPT])
    return IndexAdvice.objects.filter(state=AdviceState.OPEN).count()


def last_run() -> AdviceRun | None:
    """Return the newest search."""
    return AdviceRun.objects.order_by("-pk").first()


def candidate_of(advice: IndexAdvice) -> Candidate:
    """Return the index that advice is about; without keys when only its table is known."""
    shape = advice.shape
    return Candidate(
        table=(shape["table"][0], shape["table"][1]),
        keys=tuple(Key(**key) for key in shape["keys"]),
        included=tuple(shape["included"]),
        where=tuple(Constant(**constant) for constant in shape["where"]),
    )


def parts_of(advice: IndexAdvice) -> tuple[tuple[str, str], ...]:
    """Return the parts of a partitioned table that the advice is about."""
    return tuple((part[0], part[1]) for part in advice.shape["parts"])


@verb
def notice_created() -> list[IndexAdvice]:
    """Close the advice that an index fulfils now, and note what its statements took until this moment."""
    waiting = [
        advice
        for advice in IndexAdvice.objects.exclude(state=AdviceState.CREATED).order_by("pk")
        if advice.shape["keys"]
    ]
    if not waiting:
        return []
    noticed = []
    with planning() as planner:
        known = relations.load(planner, {candidate_of(advice).table for advice in waiting})
        for advice in waiting:
            candidate = candidate_of(advice)
            relation = known.get(candidate.table)
            index = candidates.serving(candidate, relation.indexes) if relation else None
            if index is None:
                continue
            counts = statements.measured(planner, queryids(advice))
            advice.measured = {str(queryid): each for queryid, each in counts.items()}
            advice.state, advice.index_name = AdviceState.CREATED, index.name
            advice.index_seen_at = timezone.now()
            noticed.append(advice)
    for advice in noticed:
        advice.save(update_fields=["measured", "state", "index_name", "index_seen_at"])
    return noticed


def queryids(advice: IndexAdvice) -> list[int]:
    """Return the statements that the advice is for."""
    return [int(each["queryid"]) for each in advice.helped]


def _suggested(suggestion: Suggestion) -> dict[str, Any]:
    candidate = suggestion.candidate
    return {
        **_identity(candidate, suggestion.parts),
        "is_verified": True,
        "size": suggestion.size,
        "saved_ms": suggestion.saved_ms,
        "workload_ms": suggestion.workload_ms,
        "entries_written": suggestion.entries_written,
        "makes_redundant": Jsonb(list(suggestion.makes_redundant)),
        "helped": Jsonb(
            [
                {
                    "queryid": str(
                        each.statement.queryid
                    ),  # JSON's numbers end at 2**53 in a browser
                    "text": each.statement.text[:TEXT_MAX],
                    "calls": each.statement.calls,
                    "mean_ms": each.statement.mean_ms,
                    "cost_before": each.cost_before,
                    "cost_after": each.cost_after,
                }
                for each in suggestion.helped
            ]
        ),
    }


def _hinted(hint: Hint) -> dict[str, Any]:
    candidate = Candidate(hint.table, tuple(Key(column) for column in hint.columns))
    return {
        **_identity(candidate, ()),
        "is_verified": False,
        "size": None,
        "saved_ms": None,
        "workload_ms": None,
        "entries_written": None,
        "makes_redundant": Jsonb([]),
        "helped": Jsonb([]),
    }


def _identity(candidate: Candidate, parts: Iterable[tuple[str, str]]) -> dict[str, Any]:
    schema, name = candidate.table
    shape = asdict(candidate) | {"parts": list(parts)}
    return {
        "table": quoted(name) if schema == "public" else candidate.table_sql,
        "definition": candidate.definition if candidate.keys else "",
        "shape": Jsonb(shape),
    }
