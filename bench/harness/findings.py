"""What a measurement is given, and what it returns."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.harness.results import Result
from bench.harness.worlds import World
from bench.load import is_lean


@dataclass(frozen=True)
class Table:
    """Rows for the report, under a title."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """Results, with the tables and plots (name without suffix → SVG) that show them."""

    results: Sequence[Result] = ()
    tables: Sequence[Table] = ()
    plots: Mapping[str, str] = field(default_factory=dict)
    appendix: str = ""  # Markdown for the end of the report


@dataclass(frozen=True)
class Bench:
    """The worlds of one run by their size, and how much is asked of each. `say` tells of progress."""

    worlds: Mapping[int, World]
    requests: int  # calls of each competitor
    load: int  # requests of each kind over HTTP
    soak: int  # requests that memory is watched over
    jobs: int  # jobs that a worker's memory is watched over
    say: Callable[[str], None]

    @property
    def small(self) -> World:
        return self.worlds[min(self.worlds)]

    @property
    def big(self) -> World:
        """The largest world that is whole, or else the smallest of those that are lean."""
        whole = [size for size in self.worlds if not is_lean(size)]
        return self.worlds[max(whole)] if whole else self.small

    @property
    def largest(self) -> World:
        """The largest of all, which may be lean."""
        return self.worlds[max(self.worlds)]
