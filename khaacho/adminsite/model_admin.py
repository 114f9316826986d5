"""The base of every model's admin: bounded lists, honest permissions, verbs, panels, timeline."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, cast

from django.contrib import admin
from django.contrib.admin.utils import flatten_fieldsets, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.db.models.functions import Now
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from khaacho import replica, tenants
from khaacho.actors import act
from khaacho.adminsite import verb_pages
from khaacho.adminsite.columns import EMPTY, shortened
from khaacho.adminsite.figures import drawn, filters_of
from khaacho.adminsite.paginator import BoundedPaginator
from khaacho.adminsite.panels import Panel, panels_of, tabulate
from khaacho.adminsite.record_list import RecordList
from khaacho.adminsite.search import Search, search
from khaacho.adminsite.timeline import Moment, audited, newest_first
from khaacho.adminsite.verbs import Verb, verbs_of
from khaacho.models import User

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[Any]
else:
    _ModelAdmin = admin.ModelAdmin


class KhaachoModelAdmin(_ModelAdmin):
    """View-only unless `editable` names fields; nothing is added or deleted unless a subclass says so.

    `verbs` are acts on one record, `list_verbs` make a new one. `searches` are tried in order.
    `deferred` columns are not read by lists. `ordering_when` maps a filter's parameter to the
    ordering that its index serves. `entity_type` is what audit entries call such a record.
    `amount` names the money field that a bulk confirmation adds up.
    `overview` is a page (name of its address, label) that sums such records up; lists and object
    pages lead to it. `home` names the page on which its verbs are pressed, when it is not the record's.
    """

    change_form_template = "admin/record.html"
    change_list_template = "admin/records.html"
    paginator = BoundedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    list_max_show_all = 100
    empty_value_display = EMPTY
    ordering = ("-pk",)
    sortable_by: ClassVar[tuple[str, ...]] = ()

    editable: tuple[str, ...] = ()
    verbs: tuple[Verb, ...] = ()
    list_verbs: tuple[Verb, ...] = ()
    panels: tuple[Panel, ...] = ()
    searches: tuple[Search, ...] = ()
    deferred: tuple[str, ...] = ()
    ordering_when: Mapping[str, tuple[str, ...]] = {}
    entity_type = ""
    amount = ""
    overview: tuple[str, str] | None = None
    home = ""

    def __init_subclass__(cls) -> None:
        labels = [way.label for way in cls.searches]
        cls.search_help_text = f"By {', or '.join(labels)}." if labels else None

    # What may be done

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return bool(self.editable) and super().has_change_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        shown = flatten_fieldsets(self.get_fieldsets(request, obj))
        return [field for field in shown if field not in self.editable]

    # Lists

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return RecordList

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        return shortened(self.model, super().get_list_display(request))

    def get_list_display_links(self, request: HttpRequest, list_display: Any) -> list[Any]:
        return shortened(self.model, super().get_list_display_links(request, list_display))

    def get_sortable_by(self, request: HttpRequest) -> list[Any]:
        return shortened(self.model, self.sortable_by)

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        return [*super().get_list_filter(request), *filters_of(self.model)]

    def get_ordering(self, request: HttpRequest) -> Any:
        for parameter, ordering in self.ordering_when.items():
            if parameter in request.GET:
                return ordering
        return super().get_ordering(request)

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Return the ways of searching; Django asks only whether there are any."""
        return [way.label for way in self.searches]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        return search(queryset, search_term, self.searches), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list, read from the replica where that is as good; who may see it, from the primary."""
        if request.method != "GET" or not replica.is_configured():
            return self._changelist(request, extra_context)
        user = cast("User", request.user)
        user.get_all_permissions()

        def listed() -> HttpResponse:
            response = self._changelist(request, extra_context)
            return response.render() if isinstance(response, TemplateResponse) else response

        return replica.read(user.pk, listed)

    def _changelist(
        self, request: HttpRequest, extra_context: dict[str, Any] | None
    ) -> HttpResponse:
        made = [verb for verb in self.list_verbs if verb.allowed(request)]
        response: HttpResponse = super().changelist_view(
            request, {"list_verbs": made, "overview": self.overview, **(extra_context or {})}
        )
        return response

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        return {
            verb.name: (self._bulk(verb), verb.name, f"{verb.label} …")
            for verb in self.verbs
            if verb.bulk and verb.allowed(request)
        }

    def _bulk(self, verb: Verb) -> Callable[[Any, HttpRequest, QuerySet[Any]], HttpResponse | None]:
        def act_on_selection(
            _: Any, request: HttpRequest, queryset: QuerySet[Any]
        ) -> HttpResponse | None:
            return verb_pages.respond_to_selection(self, request, verb, queryset, self.amount)

        return act_on_selection

    # Object pages

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HttpResponse:
        record = context.get("original")
        if record is not None:
            context["verbs"] = self._possible(request, record)
            context["figures"] = drawn(self.model, record, request)
            context["tables"] = self._tables(request, record)
            context["timeline"] = newest_first(self.timeline(record))
            context["has_timeline"] = bool(self.entity_type)
            context["overview"] = self.overview
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)
        return response

    def timeline(self, record: Any) -> list[Moment]:
        """Return what happened to the record, in any order; subclasses add what is kept elsewhere."""
        return audited(self.entity_type, record.pk) if self.entity_type else []

    def _possible(self, request: HttpRequest, record: Model) -> list[Verb]:
        offered = [*self.verbs, *verbs_of(self.model)]
        return [verb for verb in offered if verb.allowed(request) and not verb.hindrance(record)]

    def _tables(self, request: HttpRequest, record: Model) -> list[Any]:
        found = [*self.panels, *panels_of(self.model)]
        tables = [tabulate(panel, record, request) for panel in found]
        return [table for table in tables if table is not None]

    # Edits: the triggers write the audit entry and read the actor from the transaction

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        act(tenants.actor_of(cast("User", request.user)))
        if not change:
            super().save_model(request, obj, form, change)
            return
        fields = [name for name in form.changed_data if name in self.editable]
        concrete = {field.name for field in obj._meta.concrete_fields}
        wanted = [name for name in fields if name in concrete]
        if wanted and "updated_at" in concrete:
            obj.updated_at = Now()
            wanted.append("updated_at")
        if wanted:
            obj.save(update_fields=wanted)

    # Verbs

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("verb/<slug:verb>/", wrap(self.list_verb_view), name=f"{name}_list_verb"),
            path("<path:object_id>/verb/<slug:verb>/", wrap(self.verb_view), name=f"{name}_verb"),
            *super().get_urls(),
        ]

    def verb_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """Ask about an act on one record, or do it. A GET leads to the record's page."""
        found = self._permitted(request, verb, [*self.verbs, *verbs_of(self.model)])
        record = self.get_object(request, unquote(object_id))
        if record is None:
            raise Http404
        if request.method != "POST":
            return HttpResponseRedirect(verb_pages.address(self, record))
        return verb_pages.respond(self, request, found, record)

    def list_verb_view(self, request: HttpRequest, verb: str) -> HttpResponse:
        """Show the form that makes a new record, or make it."""
        return verb_pages.respond(
            self, request, self._permitted(request, verb, self.list_verbs), None
        )

    def _permitted(self, request: HttpRequest, name: str, verbs: Sequence[Verb]) -> Verb:
        found = next((verb for verb in verbs if verb.name == name), None)
        if found is None:
            raise Http404
        if not (self.has_view_permission(request) and found.allowed(request)):
            raise PermissionDenied
        return found
