"""What stands against deleting a property rule. Reads only."""

from __future__ import annotations

from django.utils.translation import gettext

from core.ui import used_by
from profiles.models import ProfileIdentity, ProfilePropertyRule


def users_of(rule: ProfilePropertyRule) -> list[str]:
    """Names such as "the group Lapsed customers". Values of its own go with it."""
    return used_by.users_of(rule, leaving_out=[ProfileIdentity], kinds={ProfilePropertyRule: gettext("the property")})
