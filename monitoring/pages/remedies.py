"""What to paste so that an index comes or goes: a line of a model and its migration, or SQL. Never run from here."""

import re
from collections.abc import Sequence

from django.apps import apps
from django.db.models import Model

NAME_MAX = 30  # characters that Django allows an index's name
_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quoted(name: str) -> str:
    """Return a name as PostgreSQL reads it."""
    return name if _PLAIN.fullmatch(name) else '"{}"'.format(name.replace('"', '""'))


def drop_index(schema: str, table: str, index: str) -> str:
    """Return what makes an index go: through its model when that names it, else by SQL."""
    model = _model_of(table)
    if model is not None and any(each.name == index for each in model._meta.indexes):
        options = model._meta
        return (
            f"# Take the line with name={index!r} out of {options.label}.Meta.indexes; the migration:\n"
            "from django.contrib.postgres.operations import RemoveIndexConcurrently\n"
            "atomic = False\n"
            f"operations = [RemoveIndexConcurrently({options.model_name!r}, {index!r})]"
        )
    return f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema)}.{quoted(index)};"


def rebuild_index(schema: str, index: str) -> str:
    """Return what mends an invalid index: a rest of a broken REINDEX goes, any other is built anew."""
    if re.search(r"_cc(new|old)\d*$", index):
        return f"DROP INDEX CONCURRENTLY IF EXISTS {quoted(schema)}.{quoted(index)};"
    return f"REINDEX INDEX CONCURRENTLY {quoted(schema)}.{quoted(index)};"


def build_index(schema: str, table: str, index: str, definition: str) -> str:
    """Return what builds a missing index; `definition` is ` [UNIQUE] USING …`, as check_indexes says it."""
    unique = "UNIQUE " if definition.lstrip().startswith("UNIQUE") else ""
    using = definition.strip().removeprefix("UNIQUE").strip()
    where = f"{quoted(schema)}.{quoted(table)}"
    return f"CREATE {unique}INDEX CONCURRENTLY {quoted(index)} ON {where} {using};"


def add_index(schema: str, table: str, columns: Sequence[str]) -> str:
    """Return what makes an index on the columns: through the table's model when there is one."""
    name = f"{table}_{'_'.join(columns)}"[: NAME_MAX - 4].rstrip("_") + "_idx"
    model = _model_of(table)
    if model is not None:
        options = model._meta
        by_column = {field.column: field.name for field in options.local_concrete_fields}
        fields = [by_column.get(column, column) for column in columns]
        line = f"models.Index(fields={fields!r}, name={name!r})"
        return (
            f"# {options.label}.Meta.indexes:\n{line},\n"
            "# the migration:\n"
            "from django.contrib.postgres.operations import AddIndexConcurrently\n"
            "atomic = False\n"
            f"operations = [AddIndexConcurrently({options.model_name!r}, {line})]"
        )
    listed = ", ".join(quoted(column) for column in columns)
    return (
        f"CREATE INDEX CONCURRENTLY {quoted(name)} ON {quoted(schema)}.{quoted(table)} ({listed});"
    )


def _model_of(table: str) -> type[Model] | None:
    return next(
        (m for m in apps.get_models() if m._meta.managed and m._meta.db_table == table), None
    )
