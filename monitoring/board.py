"""The queue board of the admin: all queues at a glance, refreshed every few seconds."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, URLResolver, path, reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from khaacho.adminsite import Verb
from khaacho.enums import JobState
from khaacho.models import QueueSetting
from khaacho.money import lakh
from monitoring import drawings, queues
from monitoring.queues import Overview, QueueFigures

SEE = ("khaacho.view_job", "khaacho.view_queuesetting")  # either
LATE = 30  # seconds after which the sweep or beat is missed


@dataclass(frozen=True)
class Figure:
    """A number with its name; `url` leads to the jobs that it counts, `tone` is its colour."""

    name: str
    text: str
    url: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Card:
    """One queue as the board shows it."""

    queue: QueueFigures
    main: Sequence[Figure]
    more: Sequence[Figure]
    bar: SafeString
    curve: SafeString
    nodes: int
    verbs: Sequence[tuple[Verb, str]]


@never_cache
@require_safe
def board(request: HttpRequest) -> HttpResponse:
    """Show the whole page."""
    context = {**admin.site.each_context(request), "title": _("Queue board")} | _context(request)
    return TemplateResponse(request, "monitoring/queue_board.html", context)


@never_cache
@require_safe
def now(request: HttpRequest) -> HttpResponse:
    """Show what the page renews of itself."""
    return TemplateResponse(request, "monitoring/queue_figures.html", _context(request))


urlpatterns: list[URLPattern | URLResolver] = [
    path("", admin.site.admin_view(board), name="queue-board"),
    path("now/", admin.site.admin_view(now), name="queue-board-now"),
]


def _context(request: HttpRequest) -> dict[str, Any]:
    if not any(request.user.has_perm(permission) for permission in SEE):
        raise PermissionDenied
    found = queues.overview()
    curves = queues.curves()
    return {
        "overview": found,
        "warnings": list(warnings(found)),
        "beats": _beats(found),
        "cards": [_card(request, queue, curves[queue.queue], found) for queue in found.queues],
    }


def warnings(found: Overview) -> Iterator[str]:
    """Say in words what is not as it should be."""
    if found.redis == "down":
        yield _(
            "Redis does not answer: jobs are kept, and begin when it is back or run_jobs works."
        )
    yield from _late(
        found.sweep_last_run_seconds,
        _("The sweep has never run: work that was lost is not found again."),
        _("The sweep last ran %s ago: work that was lost is not found again."),
    )
    yield from _late(
        found.beat_last_tick_seconds,
        _("No beat was ever seen: nothing runs by the clock."),
        _("Beat was last seen %s ago: nothing runs by the clock."),
    )
    idle = [queue.name for queue in found.queues if not _nodes(found, queue)]
    if idle and not found.workers:
        yield _("No worker is alive: no job is done.")
    elif idle:
        yield _("No worker takes: %s.") % ", ".join(idle)
    for queue in found.queues:
        if queue.paused:
            yield _("%(queue)s is paused by %(who)s: %(reason)s") % {
                "queue": queue.name,
                "who": queue.paused_by or _("the system"),
                "reason": queue.pause_reason,
            }


def _late(seconds: float | None, never: str, late: str) -> Iterator[str]:
    if seconds is None:
        yield never
    elif seconds > LATE:
        yield late % duration(seconds)


def _beats(found: Overview) -> list[Figure]:
    """Return the line above the queues: Redis, sweep, beat, workers."""
    workers = sum(worker.concurrency for worker in found.workers)
    return [
        Figure(
            _("Redis"),
            _("ok") if found.redis == "ok" else _("down"),
            tone=_bad(found.redis != "ok"),
        ),
        Figure(_("Sweep"), *_ago(found.sweep_last_run_seconds)),
        Figure(_("Beat"), *_ago(found.beat_last_tick_seconds)),
        Figure(
            _("Workers"),
            _("%(nodes)s alive, %(places)s at once")
            % {"nodes": len(found.workers), "places": workers},
            tone=_bad(not found.workers),
        ),
    ]


def _ago(seconds: float | None) -> tuple[str, str, str]:
    if seconds is None:
        return _("never"), "", "bad"
    return _("%s ago") % duration(seconds), "", _bad(seconds > LATE)


def _bad(is_bad: bool) -> str:
    return "bad" if is_bad else ""


def _nodes(found: Overview, queue: QueueFigures) -> int:
    return sum(queue.queue in worker.queues for worker in found.workers)


def _card(request: HttpRequest, queue: QueueFigures, curve: Sequence[int], found: Overview) -> Card:
    queued = _jobs(queue, JobState.QUEUED)
    later = queue.delayed + queue.retrying
    dead = _jobs(queue, JobState.DEAD)
    return Card(
        queue=queue,
        main=[
            Figure(_("Waiting"), lakh(queue.waiting), queued, "waiting"),
            Figure(_("Active"), lakh(queue.active), _jobs(queue, JobState.RUNNING), "active"),
            Figure(_("Later"), lakh(later), queued, "later"),
            Figure(_("Dead"), lakh(queue.dead), dead, "dead"),
        ],
        more=[
            Figure(_("Oldest waits"), duration(queue.oldest_waiting_seconds)),
            Figure(_("Delayed"), lakh(queue.delayed)),
            Figure(_("Retrying"), lakh(queue.retrying)),
            Figure(_("In Redis"), "–" if queue.broker_depth is None else lakh(queue.broker_depth)),
            Figure(_("Wait, p95"), _milliseconds(queue.wait_p95_ms)),
            Figure(_("Run, p95"), _milliseconds(queue.run_p95_ms)),
            Figure(_("Done, 1 h"), lakh(queue.completed_1h), _jobs(queue, JobState.DONE)),
            Figure(_("Failed, 1 h"), lakh(queue.failed_1h), tone=_bad(queue.failed_1h > 0)),
            Figure(_("Folded, 24 h"), lakh(queue.deduplicated_24h)),
            Figure(_("Stalled, 24 h"), lakh(queue.stalled_24h), tone=_bad(queue.stalled_24h > 0)),
        ],
        bar=drawings.bar(
            [
                ("waiting", queue.waiting),
                ("active", queue.active),
                ("later", later),
                ("dead", queue.dead),
            ]
        ),
        curve=drawings.curve(curve, _("Done in each 5 minutes of 3 hours")),
        nodes=_nodes(found, queue),
        verbs=_verbs(request, queue),
    )


def _jobs(queue: QueueFigures, state: JobState) -> str:
    query = urlencode({"queue__exact": queue.queue, "state__exact": state.value})
    return f"{reverse('admin:khaacho_job_changelist')}?{query}"


def _verbs(request: HttpRequest, queue: QueueFigures) -> list[tuple[Verb, str]]:
    """Return what this person may do to the queue as it is, each with the address of its question."""
    offered = admin.site.get_model_admin(QueueSetting)
    if not offered.has_view_permission(request):
        return []
    possible = {
        "pause_queue": not queue.paused,
        "resume_queue": queue.paused,
        "requeue_dead": queue.dead > 0,
    }
    return [
        (verb, reverse("admin:khaacho_queuesetting_verb", args=[queue.queue, verb.name]))
        for verb in offered.verbs  # type: ignore[attr-defined] # of our own base
        if possible[verb.name] and verb.allowed(request)
    ]


def duration(seconds: float) -> str:
    """Return a duration for people, in its two largest units: `6 min 9 s`, `2 h 5 min`."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86_400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3600} h"


def _milliseconds(value: int | None) -> str:
    if value is None:
        return "–"
    if value < 1000:
        return f"{value} ms"
    return f"{value / 1000:.1f} s" if value < 60_000 else duration(value / 1000)
