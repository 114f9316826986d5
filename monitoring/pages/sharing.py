"""What several panels of one page want to know is asked once for all of them."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

R = TypeVar("R")

_known: ContextVar[dict[tuple[Hashable, ...], Any] | None] = ContextVar("page_known", default=None)


@contextmanager
def sharing() -> Iterator[None]:
    """Let `once` remember, until the end of this block."""
    token = _known.set({})
    try:
        yield
    finally:
        _known.reset(token)


def once(ask: Callable[..., R], *arguments: Hashable) -> R:
    """Return what `ask` answers to the arguments; within `sharing` it is asked again only when it failed."""
    known = _known.get()
    if known is None:
        return ask(*arguments)
    key = (ask, *arguments)
    if key not in known:
        known[key] = ask(*arguments)
    answer: R = known[key]
    return answer
