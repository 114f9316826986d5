"""The four views over HTTP, for whoever watches by machine: 503 with the remedy when they cannot be read."""

from collections.abc import Callable
from typing import Any, ClassVar

from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from khaacho.api.pagination import Pagination, asked, page_of
from khaacho.api.permissions import IsStaff
from khaacho.api.serializers import CharField, DateTimeField, DecimalField, IntegerField, Serializer
from khaacho.exceptions import Invalid
from monitoring.database import indexes, statements, tables

MOST = 1000  # rows of a view that are read
Get = Callable[[Any, Request], Response]
NO_STORE = {"Cache-Control": "no-store"}


class SlowQuerySerializer(Serializer):
    """Times are milliseconds."""

    id = CharField()
    queryid = CharField(help_text="64 bits, which JSON numbers lose")
    username = CharField()
    query = CharField(help_text="constants as $1, $2, …; secrets masked")
    calls = IntegerField()
    rows = IntegerField()
    total_exec_time = serializers.FloatField()
    mean_exec_time = serializers.FloatField()
    min_exec_time = serializers.FloatField()
    max_exec_time = serializers.FloatField()
    stddev_exec_time = serializers.FloatField()
    total_time_pct = serializers.FloatField(allow_null=True, help_text="of this database's")
    cache_hit_pct = serializers.FloatField(allow_null=True, help_text="null: no block was needed")
    stats_since = DateTimeField(allow_null=True, help_text="null before PostgreSQL 17")


class IndexUsageSerializer(Serializer):
    id = CharField()
    schema = CharField()
    table = CharField()
    index = CharField()
    index_scans = IntegerField()
    tuples_read = IntegerField()
    tuples_fetched = IntegerField()
    index_size = IntegerField(help_text="bytes")
    key_columns = CharField()
    is_unique = serializers.BooleanField()
    is_valid = serializers.BooleanField()  # type: ignore[assignment] # a field, not the method
    kept_because = CharField(allow_null=True, help_text="what forbids to drop it")
    drop_candidate = serializers.BooleanField()
    last_scan = DateTimeField(allow_null=True, help_text="null before PostgreSQL 16")
    counted_since = DateTimeField()


class TableBloatSerializer(Serializer):
    """Sizes are bytes."""

    id = CharField()
    schema = CharField()
    table = CharField()
    total_size = IntegerField()
    table_size = IntegerField()
    index_size = IntegerField()
    live_tuples = IntegerField()
    dead_tuples = IntegerField()
    dead_tuple_percent = DecimalField(max_digits=5, decimal_places=2)
    estimated_bloat_bytes = IntegerField(allow_null=True)
    estimated_bloat_percent = DecimalField(max_digits=5, decimal_places=1, allow_null=True)
    estimate_note = CharField(allow_null=True, help_text="why there is no estimate")
    last_vacuum = DateTimeField(allow_null=True)
    last_autovacuum = DateTimeField(allow_null=True)
    last_analyze = DateTimeField(allow_null=True)
    last_autoanalyze = DateTimeField(allow_null=True)


class MissingIndexSerializer(Serializer):
    id = CharField()
    schema = CharField()
    table = CharField()
    seq_scan = IntegerField()
    seq_tup_read = IntegerField()
    idx_scan = IntegerField()
    avg_rows_per_scan = DecimalField(max_digits=22, decimal_places=1)
    table_size = IntegerField(help_text="bytes")
    live_tuples = IntegerField()
    has_no_index = serializers.BooleanField()


class ViewList(APIView):
    """A view read once, whole up to 1,000 rows, and sorted and cut here: pages by number alone."""

    permission_classes = [IsStaff]
    pagination_class = Pagination  # whose envelope and parameters the schema shows
    serializer_class: type[Serializer]
    read: Callable[..., list[Any]]
    sortable: ClassVar[tuple[str, ...]]

    def rows(self, request: Request) -> Response:
        wanted = asked(request)
        if wanted.cursor is not None:
            raise Invalid(errors={"cursor": ["This list has page numbers alone."]})
        found = _sorted(
            type(self).read(limit=MOST), request.query_params.get("sort"), self.sortable
        )
        page = page_of(
            found[wanted.offset : wanted.offset + wanted.limit], wanted, total=len(found)
        )
        data = self.serializer_class(page.rows, many=True).data
        body = {"data": data, "pagination": page.pagination}
        return Response(body, headers={**NO_STORE, **page.headers(request)})


def _sorted(rows: list[Any], terms: str | None, sortable: tuple[str, ...]) -> list[Any]:
    """Sort by `-name,name`; what has no value comes last. Raises Invalid (400)."""
    for term in reversed(terms.split(",") if terms else []):
        name = term.removeprefix("-")
        if name not in sortable:
            raise Invalid(errors={"sort": [f"Not one of {', '.join(sortable)}."]})
        known = [row for row in rows if getattr(row, name) is not None]
        unknown = [row for row in rows if getattr(row, name) is None]
        known.sort(key=lambda row: getattr(row, name), reverse=term.startswith("-"))
        rows = known + unknown
    return rows


def _documented(
    operation_id: str, serializer: type[Serializer], sortable: tuple[str, ...]
) -> Callable[[Get], Get]:
    sort = OpenApiParameter(
        "sort", str, description=f"Of {', '.join(sortable)}; a minus turns the order."
    )
    decorated: Callable[[Get], Get] = extend_schema(
        operation_id=operation_id, responses={200: serializer(many=True)}, parameters=[sort]
    )
    return decorated


class SlowQueries(ViewList):
    serializer_class = SlowQuerySerializer
    read = statements.slow
    sortable = ("mean_exec_time", "total_exec_time", "max_exec_time", "calls", "rows")

    @_documented("monitoring_slow_queries", SlowQuerySerializer, sortable)
    def get(self, request: Request) -> Response:
        """List this database's statements with a mean above 100 ms, the slowest first."""
        return self.rows(request)


class IndexUsage(ViewList):
    serializer_class = IndexUsageSerializer
    read = indexes.indexes
    sortable = ("index_scans", "index_size", "table", "index")

    @_documented("monitoring_index_usage", IndexUsageSerializer, sortable)
    def get(self, request: Request) -> Response:
        """List the indexes, the least used first."""
        return self.rows(request)


class TableBloat(ViewList):
    serializer_class = TableBloatSerializer
    read = tables.tables
    sortable = (
        "total_size",
        "table_size",
        "dead_tuples",
        "dead_tuple_percent",
        "estimated_bloat_bytes",
        "table",
    )

    @_documented("monitoring_table_bloat", TableBloatSerializer, sortable)
    def get(self, request: Request) -> Response:
        """List the tables with dead rows and estimated free space, the biggest first."""
        return self.rows(request)


class MissingIndexes(ViewList):
    serializer_class = MissingIndexSerializer
    read = tables.scanned
    sortable = ("seq_tup_read", "seq_scan", "table_size", "table")

    @_documented("monitoring_missing_indexes", MissingIndexSerializer, sortable)
    def get(self, request: Request) -> Response:
        """List tables above 1 MB that are mostly read from end to end, by rows read."""
        return self.rows(request)
