"""A trade of any size: `python -m bench.scale load --orders 1000000`."""

from bench.scale.loading import NotEmpty, Scale, load

__all__ = ["NotEmpty", "Scale", "load"]
