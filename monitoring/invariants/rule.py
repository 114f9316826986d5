from collections.abc import Callable, Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Invariant:
    """A rule of the trade, as a query that returns the rows that break it.

    `offenders` yields (id of an `entity`, what is wrong with it), or `find` does where SQL cannot say it;
    `checked` is the FROM clause of what is counted as looked at. `freezes`: the credit accounts concerned make no new credit until
    a person has looked.
    """

    name: str
    rule: str
    entity: str
    checked: str
    offenders: str = ""
    freezes: bool = False
    find: Callable[[], Iterable[tuple[int, str]]] | None = None
