"""Samples of what PostgreSQL counts, in partitions by the week (docs/adr/0035-history.md).

The weeks themselves are made and dropped by monitoring/history/partitions.py. There is no DEFAULT
partition: a week could not be made under rows that already wait there.
"""

from django.db import migrations


SAMPLES = """
CREATE TABLE samples (
    slot timestamptz PRIMARY KEY,
    sampled_at timestamptz NOT NULL,
    previous_at timestamptz,
    dbid oid NOT NULL,
    sees_all boolean NOT NULL,
    has_relations boolean NOT NULL DEFAULT false,
    statements_since timestamptz,
    statements_read integer,
    calls bigint,
    exec_ms double precision,
    note text NOT NULL DEFAULT '',
    CONSTRAINT sample_moment_once UNIQUE (sampled_at),
    CONSTRAINT sample_after_previous CHECK (previous_at < sampled_at)
);
"""

# What pg_stat_statements said when an entry last moved: the only table of the history whose rows change.
COUNTERS = """
CREATE TABLE statement_counters (
    queryid bigint NOT NULL,
    userid oid NOT NULL,
    toplevel boolean NOT NULL,
    calls bigint NOT NULL,
    rows bigint NOT NULL,
    exec_ms double precision NOT NULL,
    exec_ms_squares double precision NOT NULL,
    max_ms double precision NOT NULL,
    plan_ms double precision NOT NULL,
    blocks_hit bigint NOT NULL,
    blocks_read bigint NOT NULL,
    blocks_dirtied bigint NOT NULL,
    temp_blocks bigint NOT NULL,
    io_ms double precision NOT NULL,
    jit_ms double precision NOT NULL,
    wal_bytes bigint NOT NULL,
    stats_since timestamptz,
    PRIMARY KEY (queryid, userid, toplevel)
) WITH (fillfactor = 50);
CREATE TABLE statement_texts (
    queryid bigint PRIMARY KEY,
    text text NOT NULL,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    CONSTRAINT statement_text_bounded CHECK (length(text) <= 20000)
) WITH (fillfactor = 90);
"""

# What was added between `statements_since` and `sampled_at` of the sample; a statement that was not
# called has no row. `max_ms` is known only where a call was slower than all before it.
STATEMENT_SAMPLES = """
CREATE TABLE statement_samples (
    sampled_at timestamptz NOT NULL,
    queryid bigint NOT NULL,
    calls bigint NOT NULL,
    rows bigint NOT NULL,
    exec_ms double precision NOT NULL,
    exec_ms_squares double precision NOT NULL,
    max_ms double precision,
    plan_ms double precision NOT NULL,
    blocks_hit bigint NOT NULL,
    blocks_read bigint NOT NULL,
    blocks_dirtied bigint NOT NULL,
    temp_blocks bigint NOT NULL,
    io_ms double precision NOT NULL,
    jit_ms double precision NOT NULL,
    wal_bytes bigint NOT NULL,
    userid oid NOT NULL,
    toplevel boolean NOT NULL,
    PRIMARY KEY (queryid, sampled_at, userid, toplevel)
) PARTITION BY RANGE (sampled_at);
CREATE INDEX statement_sample_time_idx ON statement_samples USING brin (sampled_at)
    WITH (pages_per_range = 16);
"""

DATABASE_SAMPLES = """
CREATE TABLE database_samples (
    sampled_at timestamptz PRIMARY KEY,
    stats_reset timestamptz,
    xact_commit bigint NOT NULL,
    xact_rollback bigint NOT NULL,
    blocks_read bigint NOT NULL,
    blocks_hit bigint NOT NULL,
    tuples_returned bigint NOT NULL,
    tuples_fetched bigint NOT NULL,
    tuples_inserted bigint NOT NULL,
    tuples_updated bigint NOT NULL,
    tuples_deleted bigint NOT NULL,
    conflicts bigint NOT NULL,
    temp_files bigint NOT NULL,
    temp_bytes bigint NOT NULL,
    deadlocks bigint NOT NULL,
    active_ms double precision NOT NULL,
    active integer NOT NULL,
    idle integer NOT NULL,
    idle_in_transaction integer NOT NULL,
    other integer NOT NULL,
    waiting_for_locks integer NOT NULL,
    server_connections integer NOT NULL,
    max_connections integer NOT NULL,
    bytes bigint NOT NULL,
    wal_position bigint,
    statements_dealloc bigint,
    statements_reset timestamptz
) PARTITION BY RANGE (sampled_at);
"""

RELATION_SAMPLES = """
CREATE TABLE table_samples (
    sampled_at timestamptz NOT NULL,
    relid oid NOT NULL,
    relation text NOT NULL,
    bytes bigint NOT NULL,
    total_bytes bigint NOT NULL,
    live_tuples bigint NOT NULL,
    dead_tuples bigint NOT NULL,
    seq_scan bigint NOT NULL,
    seq_tup_read bigint NOT NULL,
    idx_scan bigint,
    idx_tup_fetch bigint,
    n_tup_ins bigint NOT NULL,
    n_tup_upd bigint NOT NULL,
    n_tup_del bigint NOT NULL,
    n_tup_hot_upd bigint NOT NULL,
    vacuums bigint NOT NULL,
    analyzes bigint NOT NULL,
    PRIMARY KEY (relid, sampled_at)
) PARTITION BY RANGE (sampled_at);
CREATE TABLE index_samples (
    sampled_at timestamptz NOT NULL,
    indexrelid oid NOT NULL,
    relid oid NOT NULL,
    scans bigint NOT NULL,
    tuples_read bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (indexrelid, sampled_at)
) PARTITION BY RANGE (sampled_at);
"""

# Whom the monitoring's views may be read by, the history may be read by.
GRANTS = """
GRANT SELECT ON samples, statement_texts, statement_samples, database_samples, table_samples,
    index_samples TO pg_read_all_stats;
"""


class Migration(migrations.Migration):
    initial = True  # of these tables: nothing here touches one that is in use

    dependencies = [("monitoring", "0006_session_and_space_views")]

    operations = [
        migrations.RunSQL(SAMPLES, "DROP TABLE samples;"),
        migrations.RunSQL(COUNTERS, "DROP TABLE statement_texts, statement_counters;"),
        migrations.RunSQL(STATEMENT_SAMPLES, "DROP TABLE statement_samples;"),
        migrations.RunSQL(DATABASE_SAMPLES, "DROP TABLE database_samples;"),
        migrations.RunSQL(RELATION_SAMPLES, "DROP TABLE table_samples, index_samples;"),
        migrations.RunSQL(GRANTS, migrations.RunSQL.noop),
    ]
