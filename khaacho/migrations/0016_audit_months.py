"""The audit log becomes a table of months; what is there becomes its first part, and no row is copied.

One short transaction under an exclusive lock, for which nobody waits longer than 800 ms: then it steps
back and tries again. docs/partitions.md, docs/adr/0047-months.md
"""

import time

from django.db import OperationalError, migrations, transaction

ATTEMPTS, PAUSE = 60, 1.0  # seconds
PATIENCE = "800ms"  # below deadlock_timeout: it is the migration that steps back
AHEAD = 3  # months; khaacho/months.py makes those that follow

# Triggers of rows say the name of the part that a row is in; the table's own comes as an argument.
FUNCTION = """
CREATE OR REPLACE FUNCTION khaacho_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % refused', coalesce(TG_ARGV[0], TG_TABLE_NAME), TG_OP
        USING ERRCODE = 'integrity_constraint_violation';
END $$;
"""
FUNCTION_REVERSE = FUNCTION.replace("coalesce(TG_ARGV[0], TG_TABLE_NAME)", "TG_TABLE_NAME")

ROWS = (
    "CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {0}"
    " FOR EACH ROW EXECUTE FUNCTION khaacho_append_only('audit_logs')"
)
TRUNCATES = (
    "CREATE TRIGGER append_only_truncate BEFORE TRUNCATE ON {0}"
    " FOR EACH STATEMENT EXECUTE FUNCTION khaacho_append_only('audit_logs')"
)
# Everything but the rows: with `old` the table as it was.
SAME = "(LIKE {old} INCLUDING ALL EXCLUDING CONSTRAINTS EXCLUDING INDEXES EXCLUDING IDENTITY EXCLUDING STATISTICS)"
LIKE = "CREATE TABLE months.{0} (LIKE public.audit_logs INCLUDING ALL EXCLUDING IDENTITY)"
ATTACH = "ALTER TABLE public.audit_logs ATTACH PARTITION months.{0} FOR VALUES FROM ({1}) TO ({2})"
INDEXES = (
    "CREATE INDEX audit_user_created_idx ON {0} (user_id, created_at DESC)",
    "CREATE INDEX audit_entity_created_idx ON {0} (entity_type, entity_id, created_at DESC)",
)

# A view would go on reading the part alone: whoever made it must make it anew.
DEPENDENT = """
SELECT string_agg(DISTINCT r.ev_class::regclass::text, ', ') FROM pg_depend d
JOIN pg_rewrite r ON r.oid = d.objid
WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = 'public.audit_logs'::regclass
    AND r.ev_class <> d.refobjid
"""
FOREIGN_KEYS = """
SELECT quote_ident(conname), pg_get_constraintdef(oid) FROM pg_constraint
WHERE conrelid = 'public.audit_logs'::regclass AND contype = 'f'
"""
GRANTS = """
SELECT format('GRANT %s ON TABLE public.audit_logs TO %s%s', g.privilege_type,
    CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END,
    CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g
WHERE c.oid = 'public.audit_logs'::regclass AND g.grantee <> c.relowner
"""
ABOUT = """
SELECT quote_ident(pg_get_userbyid(relowner)), quote_nullable(obj_description(oid, 'pg_class'))
FROM pg_class WHERE oid = 'public.audit_logs'::regclass
"""
BOUND = """
SELECT substring(pg_get_constraintdef(oid) FROM '''([^'']+)''')::timestamptz
FROM pg_constraint WHERE conrelid = 'public.audit_logs'::regclass AND conname = 'audit_logs_until'
"""
# The month before a moment, and those from it on: their names, and when they begin.
MONTHS = """
SELECT to_char(at, 'YYYY_MM'), quote_literal(at AT TIME ZONE 'Asia/Kathmandu')
FROM (SELECT %s AT TIME ZONE 'Asia/Kathmandu' AS bound) b, generate_series(bound - interval '1 month',
    greatest(bound, date_trunc('month', now() AT TIME ZONE 'Asia/Kathmandu') + %s * interval '1 month'),
    interval '1 month') at
"""


def forwards(apps, editor):
    _patiently(editor.connection, _divide)


def backwards(apps, editor):
    _patiently(editor.connection, _unite)


def _patiently(connection, change):
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
                cursor.execute(f"SET LOCAL lock_timeout = '{PATIENCE}'")
                # users first: who writes both writes them before the entry
                cursor.execute("LOCK TABLE public.users IN SHARE ROW EXCLUSIVE MODE")
                cursor.execute("LOCK TABLE public.audit_logs IN ACCESS EXCLUSIVE MODE")
                change(cursor)
            return
        except OperationalError:
            if attempt == ATTEMPTS:
                raise
            time.sleep(PAUSE)


def _one(cursor, statement, params=None):
    cursor.execute(statement, params)
    return cursor.fetchone()


def _all(cursor, statement, params=None):
    cursor.execute(statement, params)
    return cursor.fetchall()


def _divide(cursor):
    (views,) = _one(cursor, DEPENDENT)
    if views:
        raise RuntimeError(
            f"{views} read audit_logs and would read its oldest part alone: drop them, migrate, make them anew."
        )
    (bound,) = _one(cursor, BOUND)
    series = _all(cursor, MONTHS, [bound, AHEAD + 1])
    foreign_keys, grants = _all(cursor, FOREIGN_KEYS), _all(cursor, GRANTS)
    owner, comment = _one(cursor, ABOUT)
    last_id, is_called = _one(cursor, "SELECT last_value, is_called FROM public.audit_logs_id_seq")
    old = f"months.audit_logs_until_{series[0][0]}"
    for statement in (
        FUNCTION,
        "CREATE SCHEMA IF NOT EXISTS months",
        "DROP TRIGGER append_only ON public.audit_logs",
        "DROP TRIGGER append_only_truncate ON public.audit_logs",
        "ALTER TABLE public.audit_logs ALTER id DROP IDENTITY, DROP CONSTRAINT audit_logs_pkey",
        "ALTER TABLE public.audit_logs ADD CONSTRAINT audit_logs_pkey"
        " PRIMARY KEY USING INDEX audit_logs_id_created_idx",
        "ALTER TABLE public.audit_logs SET SCHEMA months",
        f"ALTER TABLE months.audit_logs RENAME TO {old.removeprefix('months.')}",
        f"CREATE TABLE public.audit_logs {SAME.format(old=old)} PARTITION BY RANGE (created_at)",
        f"ALTER TABLE public.audit_logs OWNER TO {owner}",
        f"COMMENT ON TABLE public.audit_logs IS {comment}",
        *(grant for (grant,) in grants),
        "ALTER TABLE public.audit_logs ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
        f"SELECT setval('public.audit_logs_id_seq', {last_id}, {is_called})",
        "ALTER TABLE public.audit_logs ADD PRIMARY KEY (id, created_at)",
        *(index.format("public.audit_logs") for index in INDEXES),
        *(f"ALTER TABLE public.audit_logs ADD CONSTRAINT {n} {d}" for n, d in foreign_keys),
        ROWS.format("public.audit_logs"),
        TRUNCATES.format("public.audit_logs"),
        TRUNCATES.format(old),
        ATTACH.format(old.removeprefix("months."), "MINVALUE", series[1][1]),
        f"ALTER TABLE {old} DROP CONSTRAINT audit_logs_until",
        *_ahead(series[1:]),
    ):
        cursor.execute(statement)


def _ahead(series):
    """Yield what makes the months, of which the last is where the open end begins."""
    names = [f"audit_logs_{month}" for month, _ in series[:-1]] + ["audit_logs_later"]
    ends = [begin for _, begin in series[1:]] + ["MAXVALUE"]
    for name, (_, begin), end in zip(names, series, ends, strict=True):
        yield LIKE.format(name)
        yield TRUNCATES.format(f"months.{name}")
        yield ATTACH.format(name, begin, end)


# Backwards: the oldest part becomes the table again. Rows of younger months are copied into it, and its
# index is built, under the lock: it is for who has just migrated.
OLDEST = """
SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = 'public.audit_logs'::regclass AND pg_get_expr(c.relpartbound, c.oid) LIKE '%(MINVALUE)%'
"""
LATEST = """
DO $$ BEGIN
    EXECUTE (SELECT format('ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_until CHECK (created_at < %L)',
        (date_trunc('month', greatest(now() + interval '3 days', max(created_at)) AT TIME ZONE 'Asia/Kathmandu')
            + interval '1 month') AT TIME ZONE 'Asia/Kathmandu') FROM audit_logs);
END $$
"""


def _unite(cursor):
    cursor.execute("SET LOCAL statement_timeout = 0")
    oldest = _one(cursor, OLDEST)
    foreign_keys, grants = _all(cursor, FOREIGN_KEYS), _all(cursor, GRANTS)
    owner, comment = _one(cursor, ABOUT)
    last_id, is_called = _one(cursor, "SELECT last_value, is_called FROM public.audit_logs_id_seq")
    if oldest is None:  # it was archived
        cursor.execute(LIKE.format("audit_logs_until_now"))
        for name, definition in foreign_keys:
            cursor.execute(
                f"ALTER TABLE months.audit_logs_until_now ADD CONSTRAINT {name} {definition}"
            )
        for index in _all(
            cursor,
            "SELECT indexrelid::regclass FROM pg_index"
            " WHERE indrelid = 'months.audit_logs_until_now'::regclass AND NOT indisprimary",
        ):
            cursor.execute(f"DROP INDEX {index[0]}")
        for statement in INDEXES:
            cursor.execute(statement.format("months.audit_logs_until_now"))
        old = "audit_logs_until_now"
    else:
        (old,) = oldest
        cursor.execute(f"ALTER TABLE public.audit_logs DETACH PARTITION months.{old}")
        cursor.execute(f"DROP TRIGGER append_only_truncate ON months.{old}")
    pkey = _one(
        cursor,
        "SELECT quote_ident(conname) FROM pg_constraint WHERE contype = 'p' AND conrelid = %s::regclass",
        [f"months.{old}"],
    )[0]
    for statement in (
        f"INSERT INTO months.{old} SELECT * FROM public.audit_logs",
        "SET CONSTRAINTS ALL IMMEDIATE",
        "DROP TABLE public.audit_logs",
        f"ALTER TABLE months.{old} RENAME TO audit_logs",
        "ALTER TABLE months.audit_logs SET SCHEMA public",
        "DROP SCHEMA months",
        f"ALTER TABLE audit_logs DROP CONSTRAINT {pkey}",
        "ALTER TABLE audit_logs ADD CONSTRAINT audit_logs_pkey PRIMARY KEY (id)",
        "CREATE UNIQUE INDEX audit_logs_id_created_idx ON audit_logs (id, created_at)",
        "ALTER TABLE audit_logs ALTER id ADD GENERATED BY DEFAULT AS IDENTITY",
        f"SELECT setval('public.audit_logs_id_seq', {last_id}, {is_called})",
        f"ALTER TABLE audit_logs OWNER TO {owner}",
        f"COMMENT ON TABLE audit_logs IS {comment}",
        *(grant for (grant,) in grants),
        FUNCTION_REVERSE,
        ROWS.format("audit_logs").replace("('audit_logs')", "()"),
        TRUNCATES.format("audit_logs").replace("('audit_logs')", "()"),
        LATEST,
    ):
        cursor.execute(statement)


class Migration(migrations.Migration):
    atomic = False  # each attempt is a transaction

    dependencies = [("khaacho", "0015_audit_bound_valid")]
    operations = [migrations.RunPython(forwards, backwards)]
