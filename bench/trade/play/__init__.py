"""A trading day through the real API: shops order, vendors deliver, money is received and refused."""

from bench.trade.play.command import add_command

__all__ = ["add_command"]
