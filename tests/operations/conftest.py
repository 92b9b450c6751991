"""The image's contents in a clean folder, on servers that nobody else uses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.lib.servers import PROJECT
from tests.faults.conftest import breakable

__all__ = ["breakable"]


def list_image_contents() -> list[str]:
    """What .dockerignore lets through: it names everything, then takes back what belongs into the image."""
    lines = (PROJECT / ".dockerignore").read_text().split()
    assert lines[0] == "*"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What COPY puts into the image."""
    folder = tmp_path_factory.mktemp("image") / "app"
    folder.mkdir()
    for name in list_image_contents():
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    return folder
