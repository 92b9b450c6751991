"""The contract suite: what every plugin has to keep, as tests that a plugin inherits by naming its App type.

    class TestShelf(PluginContract):
        app_type = Shelf

        def working_options(self) -> dict[str, Any]:
            return {"path": str(self.tmp_path)}

Tests of a capability that the App type lacks are not inherited, nor are those whose hook is not overridden; so
nothing is ever skipped. Hooks and the data they are given are described in `plugins.testing.hooks`. It needs pytest
and nothing of the product but `plugins`.
"""

from __future__ import annotations

import pytest

for _part in ("general", "importing", "retrieving", "exporting", "forwarding"):
    pytest.register_assert_rewrite(f"plugins.testing.{_part}")

from plugins.testing.exporting import ExportingTests  # noqa: E402 - asserts are rewritten at import
from plugins.testing.forwarding import ForwardingTests  # noqa: E402 - as above
from plugins.testing.general import GeneralTests  # noqa: E402 - as above
from plugins.testing.hooks import (  # noqa: E402 - as above
    EXPORT_FIELDS,
    ReceivedEvent,
    SourceNames,
    SourceRow,
    in_batches,
    people,
)
from plugins.testing.importing import ImportingTests  # noqa: E402 - as above
from plugins.testing.retrieving import RetrievingTests  # noqa: E402 - as above

__all__ = ["EXPORT_FIELDS", "PluginContract", "ReceivedEvent", "SourceNames", "SourceRow", "in_batches", "people"]


class PluginContract(GeneralTests, ImportingTests, RetrievingTests, ExportingTests, ForwardingTests):
    """Subclass it in a test module, with a name that starts with Test."""

    __test__ = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "app_type" in cls.__dict__:
            cls.__test__ = True
            cls.leave_out_what_does_not_apply()
