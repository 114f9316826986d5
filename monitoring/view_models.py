"""Read-only models over the four views of docs/monitoring-views.md; read through the alias `monitor`."""

from django.db import models


class View(models.Model):
    """A row of a view: looked at, never written. The view builds its text id."""

    id = models.TextField(primary_key=True)

    class Meta:
        abstract = True
        managed = False
        default_permissions = ("view",)


class SlowQuery(View):
    """A statement of this database whose mean is above 100 ms. Times are milliseconds."""

    queryid = models.BigIntegerField()
    username = models.TextField("role")
    toplevel = models.BooleanField()
    query = models.TextField("statement")
    calls = models.BigIntegerField()
    rows = models.BigIntegerField()
    total_exec_time = models.FloatField()
    mean_exec_time = models.FloatField()
    min_exec_time = models.FloatField()
    max_exec_time = models.FloatField()
    stddev_exec_time = models.FloatField()
    rows_per_call = models.FloatField()
    total_time_pct = models.FloatField("share of all time, %", null=True)
    cache_hit_pct = models.FloatField("found in memory, %", null=True)
    temp_bytes_written = models.BigIntegerField()
    stats_since = models.DateTimeField("counted since", null=True)

    class Meta(View.Meta):
        db_table = "slow_queries"
        verbose_name = "slow query"
        verbose_name_plural = "slow queries"

    def __str__(self) -> str:
        return f"Statement {self.queryid}"


class IndexUsage(View):
    """An index and how often it was used since `counted_since`. Sizes are bytes."""

    schema = models.TextField()
    table = models.TextField()
    index = models.TextField()
    index_scans = models.BigIntegerField()
    tuples_read = models.BigIntegerField()
    tuples_fetched = models.BigIntegerField()
    index_size = models.BigIntegerField()
    method = models.TextField()
    key_columns = models.TextField()
    is_unique = models.BooleanField()
    is_valid = models.BooleanField()
    kept_because = models.TextField(null=True)  # noqa: DJ001 # NULL: nothing keeps it
    drop_candidate = models.BooleanField()
    last_scan = models.DateTimeField(null=True)
    counted_since = models.DateTimeField()
    definition = models.TextField(null=True)  # noqa: DJ001 # NULL: the table is locked
    is_locked = models.BooleanField()

    class Meta(View.Meta):
        db_table = "index_usage_stats"
        verbose_name = "index"
        verbose_name_plural = "index usage"

    def __str__(self) -> str:
        return self.index


class TableBloat(View):
    """A table, its dead rows and its estimated free space. Sizes are bytes."""

    schema = models.TextField()
    table = models.TextField()
    total_size = models.BigIntegerField()
    table_size = models.BigIntegerField()
    index_size = models.BigIntegerField()
    toast_size = models.BigIntegerField()
    live_tuples = models.BigIntegerField()
    dead_tuples = models.BigIntegerField()
    dead_tuple_percent = models.DecimalField("dead, %", max_digits=5, decimal_places=2)
    estimated_bloat_bytes = models.BigIntegerField(null=True)
    estimated_bloat_percent = models.DecimalField(max_digits=4, decimal_places=1, null=True)
    estimate_note = models.TextField(null=True)  # noqa: DJ001 # NULL: there is an estimate
    last_vacuum = models.DateTimeField(null=True)
    last_autovacuum = models.DateTimeField(null=True)
    last_analyze = models.DateTimeField(null=True)
    last_autoanalyze = models.DateTimeField(null=True)
    is_locked = models.BooleanField()

    class Meta(View.Meta):
        db_table = "table_bloat_stats"
        verbose_name = "table"
        verbose_name_plural = "tables and bloat"

    def __str__(self) -> str:
        return self.table


class MissingIndex(View):
    """A table above 1 MB that is read from end to end more often than by an index."""

    schema = models.TextField()
    table = models.TextField()
    seq_scan = models.BigIntegerField("scans of the whole table")
    seq_tup_read = models.BigIntegerField("rows read by them")
    idx_scan = models.BigIntegerField("scans by an index")
    avg_rows_per_scan = models.DecimalField(max_digits=20, decimal_places=1)
    table_size = models.BigIntegerField()
    live_tuples = models.BigIntegerField()
    has_no_index = models.BooleanField()
    last_seq_scan = models.DateTimeField(null=True)

    class Meta(View.Meta):
        db_table = "missing_indexes"
        verbose_name = "table without a useful index"
        verbose_name_plural = "missing indexes"

    def __str__(self) -> str:
        return self.table
