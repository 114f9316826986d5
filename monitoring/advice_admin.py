"""Advice about indexes: what would help, how much, and the lines to paste; dismissed with a reason."""

from collections.abc import Iterable, Sequence

from django.contrib import admin
from django.template.defaultfilters import filesizeformat
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext as _

from khaacho.actors import Actor
from khaacho.adminsite import KhaachoModelAdmin, Verb, computed, sections
from khaacho.adminsite.columns import EMPTY, short_time
from khaacho.adminsite.forms import ReasonForm
from khaacho.exceptions import KhaachoError
from khaacho.money import lakh
from monitoring.advice import desk, effects, keeping, wording
from monitoring.enums import AdviceState
from monitoring.models import AdviceRun, IndexAdvice

TEXT_SHOWN = 120


@computed("index")
def _index(advice: IndexAdvice) -> str:
    return f"{advice.table} {advice.definition}".strip()


@computed("proof")
def _proof(advice: IndexAdvice) -> SafeString:
    if advice.is_verified:
        return format_html('<span class="badge good">{}</span>', _("verified by the planner"))
    return format_html('<span class="badge warn">{}</span>', _("a hint: not tried"))


@computed("saves")
def _saves(advice: IndexAdvice) -> str:
    if not advice.saved_ms or not advice.workload_ms:
        return EMPTY
    return f"{100 * advice.saved_ms / advice.workload_ms:.0f} %"


@computed("statements")
def _statements(advice: IndexAdvice) -> str:
    return str(len(advice.helped)) if advice.helped else EMPTY


@computed("size")
def _size(advice: IndexAdvice) -> str:
    return EMPTY if advice.size is None else filesizeformat(advice.size)


@computed("write cost")
def _writes(advice: IndexAdvice) -> str:
    if advice.entries_written is None:
        return EMPTY
    return _("%s entries would have been written since PostgreSQL counts") % lakh(
        advice.entries_written
    )


@computed("makes redundant")
def _redundant(advice: IndexAdvice) -> str:
    return ", ".join(advice.makes_redundant) or EMPTY


@computed("statements that it helps")
def _helped(advice: IndexAdvice) -> SafeString | str:
    if not advice.helped:
        return EMPTY
    rows = (
        (
            reverse("database-plan", args=[int(each["queryid"])]),
            Truncator(" ".join(each["text"].split())).chars(TEXT_SHOWN),
            lakh(each["calls"]),
            f"{each['mean_ms']:.1f}",
            f"{each['cost_before']:.0f}",
            f"{each['cost_after']:.0f}",
        )
        for each in advice.helped
    )
    headings = (_("Statement"), _("Calls"), _("Mean ms"), _("Cost"), _("Cost with it"))
    return _sheet(headings, rows)


def _sheet(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> SafeString:
    head = format_html_join("", '<th scope="col">{}</th>', ((each,) for each in headings))
    numbers = '<td class="number">{}</td>' * (len(headings) - 1)
    body = format_html_join(
        "", f'<tr><td><a href="{{}}"><code>{{}}</code></a></td>{numbers}</tr>', rows
    )
    return format_html(
        '<div class="scroll"><table class="sheet"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>',
        head,
        body,
    )


@computed("measured since")
def _effect(advice: IndexAdvice) -> SafeString | str:
    """Say what became of the statements since the index exists."""
    if advice.state != AdviceState.CREATED:
        return EMPTY
    try:
        found = effects.effects(advice)
    except KhaachoError as error:
        return error.message
    rows = [
        (
            reverse("database-plan", args=[each.queryid]),
            Truncator(" ".join(each.text.split())).chars(TEXT_SHOWN),
            f"{each.before_ms:.1f}",
            EMPTY if each.after_ms is None else f"{each.after_ms:.1f}",
            EMPTY if each.cut is None else f"{-100 * each.cut:+.0f} %",
            lakh(each.calls),
        )
        for each in found
    ]
    headings = (_("Statement"), _("Mean ms before"), _("since"), _("Change"), _("Calls since"))
    return _sheet(headings, rows) if rows else _("No statement was measured for it.")


@computed("model")
def _model_line(advice: IndexAdvice) -> SafeString | str:
    return _pasted(advice, "line")


@computed("migration")
def _migration(advice: IndexAdvice) -> SafeString | str:
    return _pasted(advice, "migration")


@computed("SQL")
def _sql(advice: IndexAdvice) -> SafeString | str:
    return _pasted(advice, "sql")


def _pasted(advice: IndexAdvice, what: str) -> SafeString | str:
    if not advice.shape["keys"]:
        return EMPTY
    said = wording.worded(keeping.candidate_of(advice), keeping.parts_of(advice))
    text = getattr(said, what)
    return format_html("<pre><code>{}</code></pre>", text) if text else EMPTY


def _dismiss(advice: IndexAdvice, fields: dict[str, str], actor: Actor) -> IndexAdvice:
    return desk.dismiss(advice_id=advice.pk, reason=fields["reason"], actor=actor)


def _hindrance(state: AdviceState, advice: IndexAdvice) -> str:
    return "" if advice.state == state else f"it is {advice.state}"


@admin.register(IndexAdvice)
class IndexAdviceAdmin(KhaachoModelAdmin):
    entity_type = "index_advice"
    list_display = (_index, "state", _proof, _saves, _statements, _size, "last_seen_at")
    list_filter = ("state",)
    deferred = ("measured",)
    fieldsets = sections(
        (None, (_index, "state", "reason", _proof, _saves, _size, _writes, _redundant)),
        ("To paste", (_model_line, _migration, _sql)),
        ("Statements", (_helped,)),
        ("Since the index exists", ("index_name", "index_seen_at", _effect)),
        ("Dates", ("first_seen_at", "last_seen_at")),
    )
    verbs = (
        Verb(
            name="dismiss_advice",
            label="Dismiss",
            permission=desk.DISMISS,
            run=_dismiss,
            effect="The advice is closed, and stays so when it is found again.",
            done="{record} is dismissed.",
            form=ReasonForm,
            hindrance=lambda advice: _hindrance(AdviceState.OPEN, advice),
        ),
        Verb(
            name="reopen_advice",
            label="Reopen",
            permission=desk.DISMISS,
            run=lambda advice, _fields, actor: desk.reopen(advice_id=advice.pk, actor=actor),
            effect="The advice is open again.",
            done="{record} is open again.",
            hindrance=lambda advice: _hindrance(AdviceState.DISMISSED, advice),
        ),
    )
    list_verbs = (
        Verb(
            name="request_advice",
            label="Search now",
            permission=desk.REQUEST,
            run=lambda _record, _fields, actor: desk.request_advice(actor=actor),
            effect="A job plans the costliest statements with indexes that are only supposed to be there,"
            " for five seconds at most. It runs nothing and builds nothing.",
            done="Missing indexes are searched for; what is found will be in this list.",
        ),
    )


@computed("without a plan")
def _skipped(run: AdviceRun) -> SafeString | str:
    if not run.skipped:
        return EMPTY
    rows = ((queryid, why) for queryid, why in run.skipped.items())
    return format_html("<ul>{}</ul>", format_html_join("", "<li><code>{}</code>: {}</li>", rows))


@computed("made")
def _made(run: AdviceRun) -> str:
    return short_time(run.made_at)


@admin.register(AdviceRun)
class AdviceRunAdmin(KhaachoModelAdmin):
    """Each search: how many statements had a plan, and whether it came to its end."""

    list_display = (_made, "planned", "candidates", "found", "is_verified", "is_complete")
    deferred = ("skipped",)
    fieldsets = sections(
        (None, (_made, "planned", "candidates", "found", "seconds", "is_verified", "is_complete")),
        ("Statements", (_skipped,)),
    )
