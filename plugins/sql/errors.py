"""What can go wrong with one statement, finer than the contract's three errors, for use among the SQL modules.

PluginError
├── Halt
│   └── Refused   the tool refused this statement; `kind` says what that means for a fallback
└── Retry
    └── TooSlow   the statement ran into its time limit
"""

from __future__ import annotations

from enum import StrEnum

from plugins.contracts import Halt, Retry


class RefusalKind(StrEnum):
    """Why a statement was refused: something it names is gone, some value did not fit, or the statement itself."""

    GONE = "gone"
    DATA = "data"
    STATEMENT = "statement"


class Refused(Halt):
    """The database refused the statement."""

    def __init__(self, reason: str = "", *, kind: RefusalKind = RefusalKind.STATEMENT) -> None:
        super().__init__(reason)
        self.kind = kind


class TooSlow(Retry):
    """The statement took longer than the App's statement timeout."""
