"""The HubSpot plugin keeps the contract, by the official client, against the stand-in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from plugins.contracts import SyncMode, Target
from plugins.testing import EXPORT_FIELDS, PluginContract
from tests.plugins.hubspot.conftest import LocalHubspot, options_for
from tests.plugins.hubspot.standin import Misbehaviour, Standin


class TestHubspot(PluginContract):
    app_type = LocalHubspot
    longest_text: ClassVar[int] = 65_536

    standin: Standin

    @pytest.fixture(autouse=True)
    def _give_standin(self, standin: Standin) -> None:
        self.standin = standin

    def working_options(self) -> Mapping[str, Any]:
        return options_for(self.standin)

    def broken_options(self) -> Mapping[str, Mapping[str, Any]]:
        return {
            "a wrong token": options_for(self.standin, access_token="pat-na1-99999999-0000-0000-0000-000000000000"),
            "a server that is not there": options_for(self.standin, server_url="http://127.0.0.1:1"),
        }

    def make_target(self, *, mode: SyncMode = SyncMode.SYNC, groups: tuple[str, ...] = ()) -> Target:
        self.standin.account.clear()
        return Target(options={}, key_field="email", fields=EXPORT_FIELDS, mode=mode, groups=groups)

    def held_groups(self, app: Any, target: Target, key: Any) -> set[str]:
        account = self.standin.account
        return {each.name for each in account.lists.values() if key in account.members(each.name)}

    def refused_payload(self) -> Mapping[str, Any]:
        return {"email": "someone@fake.invalid", "name": "Nobody"}

    def limit_rate(self, app: Any) -> None:
        self.standin.expect(Misbehaviour("throttle", after=7))

    def cut_connection(self, app: Any) -> None:
        self.standin.expect(Misbehaviour("cut"))


class TestHubspotThatRefusesAsAWhole(TestHubspot):
    """The same for an account in which one bad contact spoils the call for all."""

    @pytest.fixture(autouse=True)
    def _tell_nothing_of_each(self, standin: Standin) -> None:
        standin.account.tells_each = False
