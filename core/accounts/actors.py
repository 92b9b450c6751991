"""Who does something: a person, an API key, or the product itself. Every writing function takes one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from core.accounts.models import ApiKey, Role, User


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts. `cause` is how logs name them; `label` is what people read."""

    kind: str  # person, api_key, system
    id: int | None
    label: str
    role: str

    @property
    def cause(self) -> str:
        """Such as "person:3"."""
        return f"{self.kind}:{self.id}" if self.id is not None else self.kind

    @classmethod
    def person(cls, user: User) -> Self:
        """Someone who signed in."""
        return cls("person", user.pk, str(user), user.role)

    @classmethod
    def key(cls, key: ApiKey) -> Self:
        """A program with an API key; its scopes were checked at the door."""
        return cls("api_key", key.pk, f"API key {key.name}", Role.EDITOR)


SYSTEM = Actor("system", None, "Grouparoo", Role.ADMIN)
