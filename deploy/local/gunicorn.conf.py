"""Gunicorn on one machine: as in production, but for the announcement and keepalive, since no proxy stands before it."""
# ruff: noqa: N999 - Gunicorn's own name for it

import os
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

os.environ.setdefault("WEB_DRAIN_SECONDS", "0")

_spec = spec_from_file_location("production", Path(__file__).parent.parent / "gunicorn.conf.py")
assert _spec is not None
assert _spec.loader is not None
_production = module_from_spec(_spec)
_spec.loader.exec_module(_production)
globals().update({name: value for name, value in vars(_production).items() if name[0] != "_"})
# Seconds, as nginx has: clients come without it, think, and ask on the same connection.
keepalive = 75
