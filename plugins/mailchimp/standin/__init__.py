"""A stand-in for Mailchimp: an HTTP server that answers as the real API does for the calls the plugin makes.

It refuses what the real one would, remembers in one SQLite file, shows on a page what it received, and misbehaves when
it is told to. It is for tests and for the demo; nothing of the product needs it.
"""

from __future__ import annotations
