"""What maintenance is running, what was done, and the form that asks for more."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache

from khaacho.actors import Actor
from khaacho.adminsite import Verb
from khaacho.exceptions import Invalid
from monitoring.database import access
from monitoring.maintenance import asking, targets
from monitoring.maintenance.kinds import RULES, MaintenanceKind
from monitoring.maintenance.runs import MaintenanceRun
from monitoring.pages import acts
from monitoring.pages.framework import MonitoringPage, Panel, Window, timeout_ms
from monitoring.templatetags import quantities

HOME = "database-maintenance"
LIMIT = 50
TONES = {
    "done": "good",
    "failed": "bad",
    "cancelled": "quiet",
    "running": "warn",
    "queued": "quiet",
}
STATES = {
    "queued": gettext_lazy("queued"),
    "running": gettext_lazy("running"),
    "done": gettext_lazy("done"),
    "failed": gettext_lazy("failed"),
    "cancelled": gettext_lazy("cancelled"),
}
COLUMNS = """
r.id, r.kind, r.target, r.state, r.progress, r.phase, r.error, r.log, r.result, r.pid, r.job_id,
r.created_at, r.started_at, r.finished_at, u.name AS asked_by,
extract(epoch FROM coalesce(r.finished_at, now()) - r.started_at)::float8 AS seconds
"""
RUNS = f"""
SELECT {COLUMNS} FROM maintenance_runs r LEFT JOIN users u ON u.id = r.requested_by_id
WHERE {{where}} ORDER BY r.id DESC LIMIT {LIMIT}
"""
PROGRESS = """
SELECT kind, pid, relation, phase, pct, is_automatic,
    extract(epoch FROM now() - started_at)::float8 AS seconds
FROM monitor.maintenance_progress ORDER BY id LIMIT 50
"""
# Sizes as the catalogue has them: no lock is waited for.
FACTS = """
SELECT c.relpages * current_setting('block_size')::bigint, c.reltuples::float8,
    pg_stat_get_dead_tuples(c.oid), coalesce((SELECT sum(i.relpages) FROM pg_index x
        JOIN pg_class i ON i.oid = x.indexrelid WHERE x.indrelid = c.oid), 0)
        * current_setting('block_size')::bigint
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s
"""


def _running(window: Window) -> Mapping[str, Any]:
    return {
        "runs": _runs("r.state IN ('queued', 'running')"),
        "others": [
            {**row, "pid": str(row["pid"])}
            for row in access.fetch_dicts(PROGRESS, timeout_ms=timeout_ms())
        ],
    }


def _history(window: Window) -> Mapping[str, Any]:
    return {"runs": _runs("r.state NOT IN ('queued', 'running')"), "limit": LIMIT}


def _runs(where: str, params: Any = ()) -> list[dict[str, Any]]:
    rows = access.fetch_dicts(RUNS.format(where=where), params, timeout_ms=timeout_ms())
    return [
        {
            **row,
            "pid": str(row["pid"] or ""),
            "kind_name": MaintenanceKind(row["kind"]).label,
            "state_name": STATES[row["state"]],
            "tone": TONES[row["state"]],
            "is_open": row["state"] in ("queued", "running"),
        }
        for row in rows
    ]


def _start(window: Window) -> Mapping[str, Any]:
    names = access.fetch(
        "SELECT c.relname, c.relkind = 'i' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'm', 'i') AND c.relpersistence <> 't'"
        " ORDER BY 2, 1",
        timeout_ms=timeout_ms(),
    )
    return {
        "kinds": [(kind.value, kind.label, RULES[kind].effect) for kind in MaintenanceKind],
        "tables": [name for name, is_index in names if not is_index],
        "indexes": [name for name, is_index in names if is_index],
    }


def _run(window: Window) -> Mapping[str, Any]:
    rows = _runs("r.id = %s", [int(window.asked["run_id"])])
    if not rows:
        raise Http404
    return {"run": rows[0]}


# Acts


class StartForm(forms.Form):
    """What is to be done to what; both were chosen before the question."""

    kind = forms.ChoiceField(choices=MaintenanceKind.choices, widget=forms.HiddenInput)
    target = forms.CharField(max_length=63, strip=False, widget=forms.HiddenInput)


def _ask(record: object, fields: dict[str, Any], actor: Actor) -> MaintenanceRun:
    return asking.request_maintenance(
        kind=MaintenanceKind(fields["kind"]), target=fields["target"], actor=actor
    )


def _cancel(run: MaintenanceRun, fields: dict[str, Any], actor: Actor) -> MaintenanceRun:
    return asking.cancel_maintenance(run_id=run.pk, actor=actor)


@never_cache
def start(request: HttpRequest) -> HttpResponse:
    """Ask about a maintenance, or have it done. A GET leads to the page."""
    acts.require(request, "monitoring.start_maintenance")
    form = StartForm(request.POST)
    if request.method != "POST":
        return HttpResponseRedirect(reverse(HOME))
    if not form.is_valid():
        return acts.back(request, HOME, _("Choose what is to be done, and to what."))
    kind = MaintenanceKind(form.cleaned_data["kind"])
    try:
        target = targets.find(kind, form.cleaned_data["target"])
    except Invalid as error:
        return acts.back(request, HOME, " ".join(error.errors["target"]))
    verb = Verb(
        name="start_maintenance",
        label=_("Start"),
        permission="monitoring.start_maintenance",
        run=_ask,
        effect=RULES[kind].effect,
        done="",
        form=StartForm,
    )
    return acts.respond(
        request,
        acts.Question(
            verb=verb,
            record=None,
            title=f"{kind.label}: {target.name}",
            home=HOME,
            home_title=_("Maintenance"),
            said=lambda run: (messages.SUCCESS, _("%s begins within seconds.") % run),
            facts=_facts(target),
            statement=""
            if kind == MaintenanceKind.EXACT_BLOAT
            else RULES[kind].statement.format(target.quoted),
        ),
    )


def _facts(target: targets.Target) -> list[tuple[str, str]]:
    rows = access.fetch(FACTS, [target.schema, target.name])
    size, tuples, dead, indexes = rows[0] if rows else (None, None, None, None)
    facts = [(_("Size, at the last VACUUM or ANALYZE"), quantities.size(size))]
    if target.relkind != "i":
        facts += [
            (_("Its indexes"), quantities.size(indexes)),
            (_("Rows"), quantities.count(max(0, tuples or 0))),
            (_("Dead rows"), quantities.count(dead)),
        ]
    return [*facts, (_("Done by"), _("a job; this page shows how far it is, and can cancel it"))]


@never_cache
def cancel(request: HttpRequest, run_id: int) -> HttpResponse:
    """Ask about stopping a run, or stop it. A GET leads to the page."""
    acts.require(request, "monitoring.cancel_maintenance")
    run = MaintenanceRun.objects.filter(pk=run_id).first()
    if run is None:
        raise Http404
    if request.method != "POST":
        return HttpResponseRedirect(reverse(HOME))
    verb = Verb(
        name="cancel_maintenance",
        label=_("Cancel the maintenance"),
        permission="monitoring.cancel_maintenance",
        run=_cancel,
        effect=_(
            "Its statement is stopped. What VACUUM freed until then stays free; a REINDEX may leave an"
            " INVALID index, which the log then names with the command that drops it."
        ),
        done="",
    )
    return acts.respond(
        request,
        acts.Question(
            verb=verb,
            record=run,
            title=f"{verb.label}: {run}",
            home=HOME,
            home_title=_("Maintenance"),
            said=lambda done: (messages.SUCCESS, _("%s is cancelled.") % done),
            hindrance="" if run.is_open else _("it is %s already") % STATES[run.state],
        ),
    )


PAGE = MonitoringPage(
    name="maintenance",
    title=gettext_lazy("Maintenance"),
    ranged=False,
    panels=(
        Panel(
            name="running",
            title=gettext_lazy("Running"),
            read=_running,
            template="monitoring/pages/maintenance_running.html",
            wants=("stats.all_users",),
        ),
        Panel(
            name="start",
            title=gettext_lazy("Start"),
            read=_start,
            template="monitoring/pages/maintenance_start.html",
            help=gettext_lazy(
                "There is a page before anything happens. VACUUM FULL is not offered: it locks readers out."
            ),
        ),
        Panel(
            name="history",
            title=gettext_lazy("Done before"),
            read=_history,
            template="monitoring/pages/maintenance_history.html",
        ),
    ),
    routes=(
        path("maintenance/start/", admin.site.admin_view(start), name="database-maintenance-start"),
        path(
            "maintenance/<int:run_id>/cancel/",
            admin.site.admin_view(cancel),
            name="database-maintenance-cancel",
        ),
    ),
)
RUN = MonitoringPage(
    name="maintenance-run",
    title=gettext_lazy("One maintenance"),
    route="maintenance/<int:run_id>/",
    ranged=False,
    panels=(
        Panel(
            name="run",
            title=gettext_lazy("What was done"),
            read=_run,
            template="monitoring/pages/maintenance_run.html",
        ),
    ),
)
