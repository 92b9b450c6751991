"""A visit and a purchase, sent by PyPI's rudder-sdk-python: HOST KEY."""

from __future__ import annotations

import sys

import rudderstack.analytics as analytics

analytics.dataPlaneUrl, analytics.write_key = sys.argv[1:3]
analytics.max_retries = 5
analytics.page(anonymous_id="device-1", name="Prices", properties={"path": "/prices"})
analytics.identify("u-1", {"firstName": "Alice", "email": "alice@example.com", "plan": "gold"}, anonymous_id="device-1")
analytics.track("u-1", "Purchase", {"total": 12.5}, message_id="purchase-1")
analytics.track("u-1", "Purchase", {"total": 12.5}, message_id="purchase-1")
analytics.group("u-1", "acme", {"name": "Acme"})
analytics.screen("u-1", name="Cart")
analytics.track("u-0", "Opened")
analytics.alias("u-0", "u-1")
analytics.shutdown()
