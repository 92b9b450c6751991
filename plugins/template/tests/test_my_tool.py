"""My tool keeps Grouparoo's contract: this class inherits the tests of everything that the App type can do."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from grouparoo_my_tool import MyToolApp

from plugins.contracts import SyncMode, Target
from plugins.testing import EXPORT_FIELDS, PluginContract, ReceivedEvent


class TestMyTool(PluginContract):
    app_type = MyToolApp

    def working_options(self) -> Mapping[str, Any]:
        return {"file": str(self.tmp_path / "my_tool.sqlite")}

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        (self.tmp_path / "a text").write_text("This is no database, and long enough to be seen as none." * 20)
        return {
            "a folder that is not there": {"file": str(self.tmp_path / "missing" / "my_tool.sqlite")},
            "a file of another kind": {"file": str(self.tmp_path / "a text")},
        }

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        (self.tmp_path / "my_tool.sqlite").unlink(missing_ok=True)
        return Target(options={}, key_field="email", fields=EXPORT_FIELDS, mode=mode, groups=groups)

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": "", "name": "Nobody"}

    def received_events(self) -> Sequence[ReceivedEvent]:
        with self.connect() as app:
            app.test()  # makes the file
        with closing(sqlite3.connect(self.working_options()["file"])) as connection:
            rows = connection.execute("select id, body from event order by rowid").fetchall()
        bodies = [(id_, json.loads(body)) for id_, body in rows]
        return [ReceivedEvent(body["profile"]["email"].split("@")[0], body, id_) for id_, body in bodies]


def test_the_label_is_what_people_read_in_the_list_of_apps() -> None:
    assert MyToolApp.spec.label == "My tool"
