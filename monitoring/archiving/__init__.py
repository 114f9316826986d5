"""Months of the audit log that leave the database for files, and come back (docs/partitions.md)."""
