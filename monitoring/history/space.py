"""How fast the database and its tables grow."""

from monitoring.history.relations import Growth, SpaceGrowth, growth

__all__ = ["Growth", "SpaceGrowth", "growth"]
