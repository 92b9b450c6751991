"""The CSV plugin keeps the contract."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

from plugins.contracts import RecordSource, SyncMode, Target
from plugins.csv import Csv
from plugins.csv.destination import name_files
from plugins.testing import EXPORT_FIELDS, PluginContract, SourceRow


class TestCsv(PluginContract):
    app_type = Csv

    def working_options(self) -> Mapping[str, Any]:
        return {"folder": str(self.tmp_path)}

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        (self.tmp_path / "a file").touch()
        return {
            "a missing folder": {"folder": str(self.tmp_path / "missing")},
            "a file as the folder": {"folder": str(self.tmp_path / "a file")},
        }

    def fill_source(self, rows: Sequence[SourceRow]) -> RecordSource:
        with (self.tmp_path / "people.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["id", "changed_at", "name"])
            writer.writerows([row.id, row.changed_at.isoformat(), row.name] for row in rows)
        return RecordSource(path="people.csv")

    def missing_source(self) -> RecordSource:
        return RecordSource(path="missing.csv")

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        folder = f"export {mode}"
        return Target(options={"folder": folder}, key_field="email", fields=EXPORT_FIELDS, mode=mode, groups=groups)

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        folder = self.tmp_path / target.options["folder"]
        return {
            group
            for group, name in name_files(target.groups).items()
            for row in csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines())
            if row["email"] == key
        }

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": None, "name": "Nobody"}
