"""Servers for these tests alone: in a directory that pytest's tmp_path cannot be for root's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.services import Services, ephemeral, ephemeral_home


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a directory for servers; a later run ends them even if this one is killed."""
    with ephemeral_home("testing") as home:
        yield home


@pytest.fixture(scope="package")
def services() -> Iterator[Services]:
    """Give ephemeral servers that these tests may empty."""
    with ephemeral({}, "testing") as services:
        yield services
