"""Tables that are read from their beginning to their end."""

from monitoring.history.relations import Pressure, pressure

__all__ = ["Pressure", "pressure"]
