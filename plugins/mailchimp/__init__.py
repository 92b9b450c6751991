"""The Mailchimp plugin: an audience's members, merge fields and tags from profiles and groups, and member events.

`plugins.mailchimp.standin` answers as Mailchimp does, for tests and for the demo: put its address into `server_url`.
"""

from __future__ import annotations

from plugins.mailchimp.exporting import MailchimpExports
from plugins.mailchimp.forwarding import MailchimpForwards

__all__ = ["Mailchimp"]


class Mailchimp(MailchimpExports, MailchimpForwards):
    """One Mailchimp account."""
