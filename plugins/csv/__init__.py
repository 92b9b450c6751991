"""The CSV plugin: import files that were uploaded or lie in a folder, export a file per group."""

from __future__ import annotations

from plugins.contracts import AppSpec, Option
from plugins.csv.destination import CsvDestination
from plugins.csv.source import CsvSource

__all__ = ["Csv"]


class Csv(CsvSource, CsvDestination):
    """A folder of CSV files, and files that people upload."""

    spec = AppSpec(
        key="csv",
        label="CSV",
        description="Import CSV files by upload or from a folder, and export a file for each group.",
        icon="file-spreadsheet",
        categories=("file",),
        options=(
            Option(
                "folder",
                "Folder",
                placeholder="/srv/files",
                help="Where files are read from and written to; not needed for uploads.",
            ),
        ),
        parallel_calls=1,
    )
