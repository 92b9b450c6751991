"""The CSV plugin: import files that were uploaded, lie in a folder or at an address, export a file per group."""

from __future__ import annotations

from plugins.contracts import AppSpec, Option, OptionKind
from plugins.csv.destination import CsvDestination
from plugins.csv.source import CsvSource

__all__ = ["Csv"]


class Csv(CsvSource, CsvDestination):
    """A folder of CSV files, and files that people upload."""

    spec = AppSpec(
        key="csv",
        label="CSV",
        description="Import CSV files by upload, from a folder or a URL, and export a file for each group.",
        icon="file-spreadsheet",
        categories=("file",),
        options=(
            Option(
                "folder",
                "Folder",
                placeholder="/srv/files",
                help="Where files are read from and written to; not needed for uploads.",
            ),
            Option(
                "url",
                "URL of a file",
                placeholder="https://example.com/people.csv",
                help="A CSV file that is fetched each time an import of it runs.",
            ),
            Option(
                "authorization",
                "Authorization header",
                OptionKind.SECRET,
                placeholder="Bearer 0123456789",
                help="Sent along when the file is fetched, where it cannot be read without signing in.",
            ),
        ),
        parallel_calls=1,
    )
