"""Queues and what is kept of their work: acts on a queue are pressed on the queue board."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest

from khaacho import job_desk
from khaacho.actors import Actor
from khaacho.adminsite import KhaachoModelAdmin, Moment, Verb, sections
from khaacho.adminsite.forms import ReasonForm
from khaacho.adminsite.timeline import audited
from khaacho.enums import Queue
from khaacho.jobs import QUEUES
from khaacho.models import Job, QueueSetting
from khaacho.money import lakh
from monitoring import queues
from monitoring.models import JobMinute

BOARD = ("queue-board", "Queue board")
PAUSES = "No worker takes another job of this queue until it is resumed. Nothing is lost."


class PauseForm(ReasonForm):
    queue = forms.ChoiceField(choices=Queue.choices)
    field_order = ("queue", "reason")


def _figures(setting: QueueSetting) -> queues.QueueFigures:
    return next(each for each in queues.overview().queues if each.queue == setting.queue)


def _kept_waiting(setting: QueueSetting) -> list[str]:
    found = _figures(setting)
    return [
        f"Waiting: {lakh(found.waiting)}. They stay where they are, and new ones join them.",
        f"Running: {lakh(found.active)}. They are finished.",
        f"Later: {lakh(found.delayed + found.retrying)} delayed or waiting for their next attempt.",
    ]


def _let_go(setting: QueueSetting) -> list[str]:
    found = _figures(setting)
    return [
        f"Paused because: {setting.reason}",
        f"Waiting: {lakh(found.waiting)}. The sweep sends them to the workers within seconds.",
    ]


def _dead(setting: QueueSetting) -> list[str]:
    found = _figures(setting)
    return [
        f"Dead: {lakh(found.dead)}.",
        "Of several with one key the newest begins; one whose work is queued already stays dead.",
        f"Waiting now: {lakh(found.waiting)}.",
    ]


def _nothing_dead(setting: QueueSetting) -> str:
    is_there = Job.objects.dead().filter(queue=setting.queue).exists()
    return "" if is_there else "none of its jobs is dead"


def _requeue(setting: QueueSetting, fields: dict[str, Any], actor: Actor) -> None:
    job_desk.requeue_dead(setting.queue, actor)


VERBS = (
    Verb(
        name="pause_queue",
        label="Pause",
        permission="khaacho.pause_queue",
        run=lambda setting, fields, actor: job_desk.pause(setting.queue, fields["reason"], actor),
        effect=PAUSES,
        done="{record} is paused.",
        form=ReasonForm,
        facts=_kept_waiting,
        hindrance=lambda setting: "it is paused" if setting.is_paused else "",
    ),
    Verb(
        name="resume_queue",
        label="Resume",
        permission="khaacho.resume_queue",
        run=lambda setting, fields, actor: job_desk.resume(setting.queue, actor),
        effect="Workers take jobs of this queue again.",
        done="{record} goes on.",
        facts=_let_go,
        hindrance=lambda setting: "" if setting.is_paused else "it is not paused",
    ),
    Verb(
        name="requeue_dead",
        label="Requeue dead",
        permission="khaacho.requeue",
        run=_requeue,
        effect="The dead jobs of this queue begin anew with their full number of attempts."
        " Remove the cause first: without that they die again.",
        done="The dead jobs of {record} begin anew within seconds.",
        facts=_dead,
        hindrance=_nothing_dead,
        is_grave=True,
    ),
)


@admin.register(QueueSetting)
class QueueSettingAdmin(KhaachoModelAdmin):
    """A queue that nobody decided about has no row, and can be paused all the same."""

    entity_type = "queue"
    overview = BOARD
    home = BOARD[0]
    list_display = ("queue", "is_paused", "reason", "changed_by", "changed_at")
    list_select_related = ("changed_by",)
    fieldsets = sections((None, ("queue", "is_paused", "reason", "changed_by", "changed_at")))
    verbs = VERBS
    list_verbs = (
        Verb(
            name="pause_queue",
            label="Pause a queue",
            permission="khaacho.pause_queue",
            run=lambda _, fields, actor: job_desk.pause(fields["queue"], fields["reason"], actor),
            effect=PAUSES,
            done="The queue is paused.",
            form=PauseForm,
        ),
    )

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> QueueSetting | None:
        found = super().get_object(request, object_id, from_field)
        if found is None and object_id in Queue.values:
            return QueueSetting(queue=object_id)
        return found

    def timeline(self, record: QueueSetting) -> list[Moment]:
        return audited(self.entity_type, QUEUES[Queue(record.queue)].number)


@admin.register(JobMinute)
class JobMinuteAdmin(KhaachoModelAdmin):
    overview = BOARD
    list_display = ("minute", "queue", "done", "deduplicated", "stalled")
    ordering = ("-minute",)
    deferred = ("waits", "runs")
    fieldsets = sections(
        (None, ("queue", "minute", "counted_until", "done", "deduplicated", "stalled")),
        ("Durations, by bucket", ("waits", "runs")),
    )
