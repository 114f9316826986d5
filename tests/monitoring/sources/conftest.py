"""A recorder that has seen nothing, and leaves nothing to the next test."""

from collections.abc import Iterator

import pytest

from monitoring.sources import publishing
from monitoring.sources.recorder import Recorder, recorder


@pytest.fixture(autouse=True)
def seen() -> Iterator[Recorder]:
    publishing._told.clear()
    recorder.forget()
    yield recorder
    recorder.forget()
    publishing._told.clear()
