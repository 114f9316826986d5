"""Indexes that nothing has used, by our own samples."""

from monitoring.history.relations import UNUSED_FOR, UnusedIndex, unused

__all__ = ["UNUSED_FOR", "UnusedIndex", "unused"]
