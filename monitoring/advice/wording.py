"""A proposed index as lines to paste: the model's, the migration's, and SQL."""

import re
from collections import Counter
from dataclasses import dataclass

from django.apps import apps
from django.db.migrations.loader import MigrationLoader
from django.db.models import Model

from monitoring.advice.candidates import Candidate
from monitoring.advice.conditions import Constant, Key, Table
from monitoring.advice.texts import quoted

NAME_MAX = 30  # of Django's indexes

MIGRATION = """\
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("{app}", "{latest}")]

    operations = [
        AddIndexConcurrently(
            model_name="{model}",
            index={line},
        ),
    ]
"""


@dataclass(frozen=True)
class Wording:
    """Lines to paste. Without a model for the table, or for one in parts, there is only SQL."""

    name: str
    model: str
    line: str
    migration: str
    sql: str


def worded(candidate: Candidate, parts: tuple[Table, ...] = ()) -> Wording:
    """Return the lines for an index; `parts` are those of a partitioned table."""
    model = model_of(candidate.table)
    name = name_of(candidate, model)
    sql = _sql(candidate, name, parts)
    if model is None or parts:
        return Wording(name, "", "", "", sql)
    line = _line(candidate, model, name)
    migration = MIGRATION.format(
        app=model._meta.app_label,
        latest=_latest(model._meta.app_label),
        model=model._meta.model_name,
        line=line,
    )
    return Wording(name, model._meta.label, line, migration, sql)


def model_of(table: Table) -> type[Model] | None:
    """Return the model that has this table, if one has."""
    schema, name = table
    if schema != "public":
        return None
    found = (
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.managed and model._meta.db_table == name
    )
    return next(found, None)


def name_of(candidate: Candidate, model: type[Model] | None) -> str:
    """Return a name as the house gives them, of the table's word and its columns: `order_created_idx`.

    At most 30 characters, and none that the model has already.
    """
    prefix = _prefix(model) if model else candidate.table[1].lower()
    words = [re.sub(r"_(id|at)$", "", column.lower()) for column in candidate.columns]
    words = [re.sub(r"\W+", "_", word) for word in words]
    prefix = re.sub(r"\W+", "_", prefix)
    taken = {index.name for index in model._meta.indexes} if model else set()
    for number in range(1, 100):
        ending = "_idx" if number == 1 else f"_{number}_idx"
        name = _shortened(prefix, words, NAME_MAX - len(ending)) + ending
        if name not in taken:
            return name
    raise ValueError(f"a hundred indexes of {candidate.table_sql} have this name")


def _prefix(model: type[Model]) -> str:
    """Return the word with which most of the model's indexes begin, else the model's own name."""
    first = Counter(index.name.split("_")[0] for index in model._meta.indexes if "_" in index.name)
    if first:
        return str(first.most_common(1)[0][0])
    return re.sub(r"(?<!^)(?=[A-Z])", "_", model.__name__).lower()


def _shortened(prefix: str, words: list[str], room: int) -> str:
    kept = list(words)
    while kept and len("_".join([prefix, *kept])) > room:
        kept.pop()
    return "_".join([prefix, *kept])[:room].rstrip("_")


def _latest(app: str) -> str:
    leaves: list[tuple[str, str]] = MigrationLoader(None).graph.leaf_nodes(app)
    return leaves[-1][1] if leaves else "0001_initial"


def _line(candidate: Candidate, model: type[Model], name: str) -> str:
    fields = {field.column: field.name for field in model._meta.concrete_fields}
    if any(key.nulls for key in candidate.keys):
        parts = [_expression(key, fields[key.column]) for key in candidate.keys]
    else:
        names = [f'"{"-" * key.is_descending}{fields[key.column]}"' for key in candidate.keys]
        parts = [f"fields=[{', '.join(names)}]"]
    if candidate.included:
        included = (f'"{fields[column]}"' for column in candidate.included)
        parts.append(f"include=[{', '.join(included)}]")
    if candidate.where:
        said = (_condition(constant, fields[constant.column]) for constant in candidate.where)
        parts.append(f"condition={' & '.join(said)}")
    return f'models.Index({", ".join(parts)}, name="{name}")'


def _expression(key: Key, field: str) -> str:
    direction = "desc" if key.is_descending else "asc"
    nulls = f"nulls_{key.nulls.lower()}=True" if key.nulls else ""
    return f'models.F("{field}").{direction}({nulls})'


def _condition(constant: Constant, field: str) -> str:
    if constant.sense in ("null", "not null"):
        return f"models.Q({field}__isnull={constant.sense == 'null'})"
    if constant.sense in ("true", "false"):
        return f"models.Q({field}={constant.sense == 'true'})"
    literal = constant.literal
    value = repr(literal[1:-1].replace("''", "'")) if literal.startswith("'") else literal
    return f"models.Q({field}={value})"


def _sql(candidate: Candidate, name: str, parts: tuple[Table, ...]) -> str:
    if not parts:
        return f"CREATE INDEX CONCURRENTLY {quoted(name)} ON {candidate.table_sql} {candidate.definition};"
    # CONCURRENTLY is refused for the whole: each part gets its own, and the last one attached makes it valid.
    whole = f"{quoted(candidate.table[0])}.{quoted(name)}"
    lines = [f"CREATE INDEX {quoted(name)} ON ONLY {candidate.table_sql} {candidate.definition};"]
    for number, (schema, part) in enumerate(parts, 1):
        own, table = quoted(f"{name}_{number}"), f"{quoted(schema)}.{quoted(part)}"
        lines.append(f"CREATE INDEX CONCURRENTLY {own} ON {table} {candidate.definition};")
        lines.append(f"ALTER INDEX {whole} ATTACH PARTITION {quoted(schema)}.{own};")
    return "\n".join(lines)
