"""Rows as JSON text, built by PostgreSQL from a queryset that is compiled once and run with new values.

    own = Order.objects.filter(retailer_id=Param("shop", BigIntegerField())).order_by("-id")
    rows = compiled(own.values_list(projection(OrderRowSerializer(), Order), "id"))
    rows.fetch({"shop": 7}, limit=20)  # [('{"id" : 42, …}', 42), …]

The serializer stays the one description of the fields: `projection` turns what it declares into one SQL
expression, and a test holds both outputs equal. Building a queryset and compiling it costs more CPU than
all else in a list (docs/performance.md), so a statement is kept for each shape of a request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol, runtime_checkable

from django.core.exceptions import EmptyResultSet, FieldDoesNotExist
from django.db import connection, models
from django.db.models import CharField, Expression, F, Field, Func, Model, QuerySet, TextField
from django.db.models.functions import Cast
from rest_framework import serializers

from khaacho import sql

_PLAIN = (
    serializers.BooleanField,
    serializers.CharField,
    serializers.ChoiceField,
    serializers.DateField,
    serializers.DateTimeField,
    serializers.DecimalField,
    serializers.IntegerField,
    serializers.ModelField,
    serializers.ReadOnlyField,
)


class Param(Expression):
    """A value that is bound when the compiled statement runs, prepared as `output_field` would."""

    def __init__(self, name: str, output_field: "Field[Any, Any]") -> None:
        super().__init__(output_field=output_field)
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)

    def prepared(self, values: Mapping[str, Any]) -> Any:
        return self.output_field.get_db_prep_value(values[self.name], connection)


class JSONBuildObject(Func):
    """`json_build_object(name, value, …)`: json, not jsonb, keeps the serializer's order of fields."""

    function = "json_build_object"
    output_field: ClassVar[Any] = TextField()

    def __init__(self, fields: Mapping[str, Any]) -> None:
        super().__init__(*fields.values())
        self.names = tuple(fields)

    def as_sql(  # type: ignore[override]
        self, compiler: Any, connection: Any, **context: Any
    ) -> tuple[str, list[Any]]:
        parts, params = [], []
        for name, expression in zip(self.names, self.source_expressions, strict=True):
            text, own = compiler.compile(expression)
            parts.append(f"'{name}', {text}")
            params.extend(own)
        return f"json_build_object({', '.join(parts)})", params


class Instant(Func):
    """A timestamptz as our DateTimeField writes it: UTC, six digits, `Z`.

    Colons are quoted, for pgbench takes `:MI` for a variable of its own.
    """

    template = (
        """to_char(%(expressions)s AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24":"MI":"SS.US"Z"')"""
    )
    output_field: ClassVar[Any] = CharField()


@runtime_checkable
class HasExpressions(Protocol):
    """A serializer with fields that are no columns: `sql_fields` says what each is in SQL."""

    sql_fields: ClassVar[Mapping[str, Any]]


def projection(serializer: serializers.BaseSerializer[Any], model: type[Model]) -> JSONBuildObject:
    """Return one SQL expression for all that the serializer shows of a row of `model`.

    Raises TypeError naming a field that is neither a column nor in the serializer's `sql_fields`.
    """
    if not isinstance(serializer, serializers.Serializer):
        raise TypeError(f"{serializer!r} declares no fields")
    own = serializer.sql_fields if isinstance(serializer, HasExpressions) else {}
    return JSONBuildObject(
        {
            name: own[name]() if name in own else _column(name, field, model)
            for name, field in serializer.fields.items()
            if not field.write_only
        }
    )


def _column(name: str, field: "serializers.Field[Any, Any, Any, Any]", model: type[Model]) -> Any:
    """Return the column behind a field in the form that the serializer gives it: its type decides."""
    path = (field.source or name).replace(".", "__")
    column = _model_field(model, path)
    if column is None or not isinstance(field, _PLAIN):
        raise TypeError(f"{name} is no column that PostgreSQL can write: it needs sql_fields")
    if not isinstance(column, models.DateTimeField | models.DecimalField):
        return F(path)  # as PostgreSQL's json has it
    places = getattr(column, "decimal_places", None)
    if getattr(field, "decimal_places", places) != places:
        raise TypeError(f"{name} is rounded by the serializer: it needs sql_fields")
    return as_text(path, column)


def as_text(path: str, column: "Field[Any, Any]") -> Any:
    """Return a column as text that its field can read again."""
    if isinstance(column, models.DateTimeField):
        return Instant(F(path))
    return Cast(F(path), TextField())


def _model_field(model: type[Model], path: str) -> "Field[Any, Any] | None":
    """Follow foreign keys to the column; None where the path ends in something else."""
    *steps, last = path.split("__")
    try:
        for step in steps:
            related = model._meta.get_field(step).related_model
            if not isinstance(related, type):
                return None
            model = related
        found = model._meta.get_field(last)
    except FieldDoesNotExist:
        return None
    if isinstance(found, models.GeneratedField):
        return found.output_field
    return found if isinstance(found, Field) else None


@dataclass(frozen=True)
class Statement:
    """A SELECT as compiled, and what its places take: a Param's value, or what was compiled in.

    Without text it is of a queryset that cannot have rows, and is not run.
    """

    text: str
    params: tuple[Any, ...]

    @cached_property
    def part(self) -> str:
        """The SELECT of so many rows after so many."""
        return f"{self.text} LIMIT %s OFFSET %s"

    def fetch(
        self, values: Mapping[str, Any], *, limit: int, offset: int = 0
    ) -> list[tuple[Any, ...]]:
        """Return at most `limit` rows after the first `offset`."""
        if not self.text:
            return []
        bound = self._bound(values)
        return sql.fetch(self.part, [*bound, limit, offset])

    def count(self, values: Mapping[str, Any], *, most: int) -> int:
        """Return how many rows there are; `most` + 1 says that there are more than that."""
        if not self.text:
            return 0
        counted = f"SELECT count(*) FROM ({self.text} LIMIT %s) AS counted"
        row = sql.fetch_one(counted, [*self._bound(values), most + 1])
        return int(row[0]) if row else 0

    def estimate(self, values: Mapping[str, Any]) -> int:
        """Return how many rows the planner expects."""
        row = sql.fetch_one(f"EXPLAIN (FORMAT json) {self.text}", self._bound(values))
        return int(row[0][0]["Plan"]["Plan Rows"]) if row else 0

    def _bound(self, values: Mapping[str, Any]) -> list[Any]:
        return [p.prepared(values) if isinstance(p, Param) else p for p in self.params]


def compiled(queryset: QuerySet[Any, Any]) -> Statement:
    """Return the queryset's SELECT."""
    try:
        text, params = queryset.query.get_compiler(connection=connection).as_sql()
    except EmptyResultSet:
        return Statement("", ())
    return Statement(text, tuple(params))
