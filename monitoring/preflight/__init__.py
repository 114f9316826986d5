"""The checklist before a site goes into production, and after each change of it: what is wrong, and what mends it."""

from monitoring.preflight.checklist import LINES
from monitoring.preflight.lines import Fault, Line, Verdict, walk

__all__ = ["LINES", "Fault", "Line", "Verdict", "walk"]
