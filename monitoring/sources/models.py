"""Which code issues which statement, and how long statements, requests and jobs took in spans of five minutes.

Spans are summed over processes (monitoring/sources/publishing.py). `buckets` says how many lasted how
long, by bucket of monitoring/durations.py in microseconds. An origin is `kind`, `name`, `method`: "route"
with a URL name, "job" with its kind, "command", "process" (khaacho/origins.py).
"""

from django.db import models


class StatementForm(models.Model):
    """A statement without its values, by the fingerprint that PostgreSQL's text of it has too."""

    fingerprint = models.BigIntegerField()
    form = models.TextField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "statement_forms"
        constraints = [
            models.UniqueConstraint(fields=["fingerprint"], name="statement_form_once"),
        ]
        indexes = [models.Index(fields=["seen_at"], name="statement_form_seen_idx")]  # the purge


class StatementPlace(models.Model):
    """A line of our code that issues a statement; `samples` of its calls were asked where they came from."""

    fingerprint = models.BigIntegerField()
    kind = models.TextField()
    name = models.TextField()
    method = models.TextField()
    file = models.TextField()
    line = models.IntegerField()
    function = models.TextField()
    samples = models.BigIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        db_table = "statement_places"
        constraints = [
            # the places of a statement
            models.UniqueConstraint(
                fields=["fingerprint", "kind", "name", "method", "file", "line"],
                name="statement_place_once",
            ),
        ]
        indexes = [models.Index(fields=["seen_at"], name="statement_place_seen_idx")]  # the purge


class StatementSpan(models.Model):
    """The calls of one statement by one origin in a span of five minutes that begins at `since`."""

    since = models.DateTimeField()
    fingerprint = models.BigIntegerField()
    kind = models.TextField()
    name = models.TextField()
    method = models.TextField()
    calls = models.BigIntegerField()
    errors = models.BigIntegerField()
    microseconds = models.BigIntegerField()
    buckets = models.JSONField()

    class Meta:
        db_table = "statement_spans"
        constraints = [
            # a statement's spans
            models.UniqueConstraint(
                fields=["fingerprint", "since", "kind", "name", "method"],
                name="statement_span_once",
            ),
        ]
        indexes = [models.Index(fields=["since"], name="statement_span_since_idx")]  # the purge


class OriginSpan(models.Model):
    """Requests of one route, or jobs of one kind, that ended alike in a span of five minutes."""

    since = models.DateTimeField()
    kind = models.TextField()
    name = models.TextField()
    method = models.TextField()
    outcome = models.TextField()
    ended = models.BigIntegerField()
    microseconds = models.BigIntegerField()
    statements = models.BigIntegerField()
    database_microseconds = models.BigIntegerField()
    buckets = models.JSONField()

    class Meta:
        db_table = "origin_spans"
        constraints = [
            # the figures of a window; the purge
            models.UniqueConstraint(
                fields=["since", "kind", "name", "method", "outcome"], name="origin_span_once"
            ),
        ]
