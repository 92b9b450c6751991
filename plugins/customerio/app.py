"""`CustomerioApp`: the connection to one Customer.io workspace.

The keys of the Track API write and read nothing back, so there are no samples of people and no look at what arrived.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from plugins.base import App, TestsConnection
from plugins.contracts import AppSpec, Halt, Option, OptionKind, PluginError, TestResult
from plugins.customerio.calling import REGIONS, Line, Refused

SPEC = AppSpec(
    key="customerio",
    label="Customer.io",
    description="Keep people, their attributes and groups in step, and send events to them.",
    icon="send",
    categories=("email", "messaging"),
    options=(
        Option(
            "site_id",
            "Site ID",
            required=True,
            placeholder="0123456789abcdef0123",
            help="At Customer.io under Settings, Account settings, API credentials, Track API keys.",
        ),
        Option(
            "api_key",
            "API key",
            kind=OptionKind.SECRET,
            required=True,
            help="The Track API key that stands beside the site ID.",
        ),
        Option(
            "region",
            "Region",
            kind=OptionKind.CHOICE,
            default="us",
            choices=tuple((region, label) for region, (label, _) in REGIONS.items()),
            help="Where the account's data lies; Customer.io says so under Settings, Privacy.",
        ),
        Option(
            "identifier",
            "Events find people by",
            kind=OptionKind.CHOICE,
            default="email",
            choices=(("email", "Their email"), ("id", "Their id")),
            help="An identifier that the workspace allows. An export says so with its key field.",
        ),
        Option(
            "identifier_property",
            "Property with this identifier",
            default="email",
            help="The property that holds the email or id by which Customer.io knows a person; for events.",
        ),
        Option(
            "server_url",
            "Server (advanced)",
            placeholder="https://track.customer.io",
            help="Leave it empty for Customer.io itself. Another address is for tests.",
        ),
    ),
    parallel_calls=1,  # one batch at a time: what is said of a person must not be overtaken by what is said next
)


class CustomerioApp(App, TestsConnection):
    """One workspace. Connects at the first call."""

    spec = SPEC

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        self._line: Line | None = None

    @property
    def region(self) -> str:
        """Where the account is said to be."""
        return str(self.options.get("region") or "us")

    @property
    def line(self) -> Line:
        """The calls, made ready at their first use. Raises `Halt`."""
        if self._line is None:
            self._line = Line(
                site_id=str(self.options.get("site_id") or "").strip(),
                key=str(self.options.get("api_key") or "").strip(),
                region=self.region,
                server_url=str(self.options.get("server_url") or "").strip(),
                private_hosts_allowed=self.private_hosts_allowed,
            )
        return self._line

    def close(self) -> None:
        line, self._line = self._line, None
        if line is not None:
            line.close()

    def test(self) -> TestResult:
        try:
            region, workspace = self.line.find_workspace()
            if region != self.region:
                raise Halt(f"This account is in the region {region.upper()}: choose it in the App's settings.")
        except (PluginError, Refused) as error:
            return TestResult(ok=False, message=error.reason)
        return TestResult(ok=True, message=f"Customer.io accepts the keys, which are those of workspace {workspace}.")
