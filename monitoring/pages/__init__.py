"""Pages of the admin about the database: each a few panels over a stretch of time (docs/monitoring.md)."""
