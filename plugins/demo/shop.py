"""The shop of the demo: users, carts, purchases and refunds, made from a fixed seed with dates relative to a day.

Pure data: the `demo` plugin puts it into a SQLite file, and whoever wants it elsewhere takes the tables from here. The
same seed and day always give the same rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any

SEED = 1851
CUSTOMERS = 2000

FIRST_NAMES = (
    "Amara", "Andrés", "Anna", "Arjun", "Aylin", "Björn", "Camille", "Chen", "Chloé", "Dana", "Diego", "Elif", "Emma",
    "Farid", "Fatima", "Freya", "Grace", "Hana", "Hugo", "Ines", "Ivan", "James", "Jing", "José", "Julia", "Kofi",
    "Lars", "Leila", "Liam", "Lucía", "Maria", "Mateo", "Mei", "Mia", "Mohammed", "Nadia", "Noah", "Olga", "Olivia",
    "Paul", "Priya", "Rosa", "Samuel", "Sara", "Sofia", "Tariq", "Tomás", "Wei", "Yuki", "Zoë",
)  # fmt: skip
LAST_NAMES = (
    "Almeida", "Andersson", "Baker", "Bauer", "Brown", "Castro", "Cohen", "Costa", "Dubois", "Evans", "Fischer",
    "García", "Green", "Haddad", "Hansen", "Ito", "Ivanova", "Jensen", "Johnson", "Kaya", "Khan", "Kim", "Kowalski",
    "Laurent", "Lee", "López", "Martin", "Mensah", "Meyer", "Müller", "Nguyen", "Novak", "O'Brien", "Okafor", "Olsen",
    "Patel", "Petrov", "Rossi", "Santos", "Schmidt", "Sharma", "Silva", "Smith", "Suzuki", "Torres", "Walker", "Wang",
    "Weber", "Wilson", "Yılmaz",
)  # fmt: skip
LOCALES = ("en-us", "en-us", "en-us", "en-us", "en-gb", "de-de", "fr-fr", "es-es", "pt-br", "ja-jp")
ITEMS = {
    "red shirt": "24.90", "blue shirt": "24.90", "straw hat": "18.50", "rain jacket": "89.00", "wool socks": "9.95",
    "canvas bag": "32.00", "sandals": "45.50", "scarf": "27.30", "belt": "19.99", "umbrella": "15.75",
}  # fmt: skip

_PLAIN = str.maketrans("éíúáàäöóüñëıçø", "eiuaaaoouneico")


@dataclass(frozen=True, slots=True)
class ShopTable:
    """`columns` maps names to value types ("money" for amounts of two decimals); the first is the primary key."""

    columns: Mapping[str, str]
    rows: Sequence[tuple[Any, ...]]


def make_shop(today: date, *, customers: int = CUSTOMERS, seed: int = SEED) -> dict[str, ShopTable]:
    """The four tables. Times are in UTC and before `today`, amounts are Decimals, lists of items JSON text."""
    return _Maker(today, Random(seed)).make(customers)  # noqa: S311 - believable, not secret


class _Maker:
    def __init__(self, today: date, random: Random) -> None:
        self.random = random
        self.midnight = datetime.combine(today, time(), tzinfo=UTC)
        self.users: list[tuple[Any, ...]] = []
        self.carts: list[tuple[Any, ...]] = []
        self.purchases: list[tuple[Any, ...]] = []
        self.refunds: list[tuple[Any, ...]] = []

    def make(self, customers: int) -> dict[str, ShopTable]:
        for user_id in range(1, customers + 1):
            if user_id == 3:
                self._add_evan()
            else:
                self._add_customer(user_id)
        user_columns = {
            "id": "integer", "email": "email", "first_name": "string", "last_name": "string",
            "phone": "phone_number", "locale": "string", "vip": "boolean",
            "created_at": "date", "updated_at": "date",
        }  # fmt: skip
        cart_columns = {
            "id": "integer", "user_id": "integer", "items": "string",
            "created_at": "date", "abandoned_at": "date", "updated_at": "date",
        }  # fmt: skip
        purchase_columns = {
            "id": "integer", "user_id": "integer", "cart_id": "integer", "total": "money", "created_at": "date",
        }  # fmt: skip
        refund_columns = {
            "id": "integer", "user_id": "integer", "purchase_id": "integer", "total": "money", "created_at": "date",
        }  # fmt: skip
        return {
            "users": ShopTable(user_columns, self.users),
            "carts": ShopTable(cart_columns, self.carts),
            "purchases": ShopTable(purchase_columns, self.purchases),
            "refunds": ShopTable(refund_columns, self.refunds),
        }

    def _add_evan(self) -> None:
        """The story's user 3: a cart abandoned last week, and nothing bought yet."""
        joined, left = self._ago(40), self._ago(7)
        name = (3, "evan@grouparoo.com", "Evan", "Miller", "+14155550103", "en-us", False, joined, joined)
        self.users.append(name)
        items = json.dumps(["red shirt"])
        self.carts.append((len(self.carts) + 1, 3, items, left - timedelta(hours=1), left, left))

    def _add_customer(self, user_id: int) -> None:
        pick = self.random
        first, last = pick.choice(FIRST_NAMES), pick.choice(LAST_NAMES)
        email = f"{first}.{last}{user_id}@example.com".lower().translate(_PLAIN).replace("'", "")
        locale = pick.choice(LOCALES)
        phone = f"+1415555{user_id % 10_000:04}" if locale == "en-us" and pick.random() < 0.8 else None
        joined_days = pick.uniform(1, 900)
        joined = self._ago(joined_days)
        bought = 0
        for _ in range(min(int(pick.expovariate(0.45)), 12)):
            bought += self._add_cart(user_id, pick.uniform(0.1, joined_days))
        updated = self._ago(pick.uniform(0, joined_days))
        self.users.append((user_id, email, first, last, phone, locale, bought >= 4, joined, updated))

    def _add_cart(self, user_id: int, days: float) -> int:
        """A cart, and most times its purchase; how many purchases."""
        pick = self.random
        cart_id, filled = len(self.carts) + 1, self._ago(days)
        items = pick.sample(sorted(ITEMS), k=pick.choice((1, 1, 2, 3)))
        bought = pick.random() < 0.7
        left = None if bought else filled + timedelta(hours=1)
        self.carts.append((cart_id, user_id, json.dumps(items), filled, left, left or filled))
        if not bought:
            return 0
        total = sum((Decimal(ITEMS[item]) for item in items), Decimal(0))
        paid = filled + timedelta(minutes=pick.randint(2, 50))
        self.purchases.append((len(self.purchases) + 1, user_id, cart_id, total, paid))
        if pick.random() < 0.12:
            back = total if pick.random() < 0.5 else Decimal(ITEMS[items[0]])
            returned = paid + (self.midnight - paid) * pick.uniform(0.05, 0.5)
            returned = returned.replace(microsecond=0)
            self.refunds.append((len(self.refunds) + 1, user_id, len(self.purchases), back, returned))
        return 1

    def _ago(self, days: float) -> datetime:
        return (self.midnight - timedelta(days=days)).replace(microsecond=0)
