"""Checks what a person gave as an App's options against what its plugin declares, and splits off the secrets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from core.lib.errors import InvalidInput
from core.lib.hosts import is_private
from core.lib.secrets import MASK
from core.lib.storable import find_problem
from plugins.contracts import AppSpec, Option, OptionKind

_HOSTS = frozenset({"host", "url", "server_url"})  # options with these keys name a machine
_LONGEST = 10_000
_YES, _NO = (True, "true", "on", "1", "yes"), (False, "false", "off", "0", "no")


@dataclass(frozen=True, slots=True)
class Checked:
    """Options that fit their App type: in the clear, and the secrets apart."""

    plain: dict[str, Any]
    secret: dict[str, str]


def check_options(spec: AppSpec, given: Mapping[str, Any], *, known_secrets: Mapping[str, str]) -> Checked:
    """Read `given` by the rules of `spec`. A secret given as the mask keeps its value of `known_secrets`.

    Raises InvalidInput with a sentence for each option that does not fit. Values of secrets are never repeated.
    """
    problems = {
        key: gettext("An App of the type %(spec)s has no option “%(key)s”.") % {"spec": spec.label, "key": key}
        for key in _unknown(spec, given)
    }
    plain: dict[str, Any] = {}
    secret: dict[str, str] = {}
    for option in spec.options:
        try:
            value = _read(option, given.get(option.key), known_secrets)
        except ValueError as error:
            problems[option.key] = str(error)
            continue
        if value is None and option.required:
            problems[option.key] = gettext("%(option)s is needed.") % {"option": option.label}
        elif value is not None and option.kind is OptionKind.SECRET:
            secret[option.key] = value
        elif value is not None:
            plain[option.key] = value
    if problems:
        raise InvalidInput(" ".join(problems.values()), problems)
    return Checked(plain, secret)


def mask(plain: Mapping[str, Any], secret: Iterable[str], *, changed: Iterable[str] = ()) -> dict[str, Any]:
    """The options as they may be shown: the mask in place of every secret that is set, told apart when it changed."""
    return {**plain, **dict.fromkeys(secret, MASK), **dict.fromkeys(changed, f"{MASK} (changed)")}


def _unknown(spec: AppSpec, given: Mapping[str, Any]) -> list[str]:
    return sorted(set(given) - {option.key for option in spec.options})


def _read(option: Option, value: Any, known_secrets: Mapping[str, str]) -> Any:
    if isinstance(value, str) and option.kind is not OptionKind.SECRET:
        value = value.strip()
    if value is None or value == "":
        return option.default
    if option.kind is OptionKind.NUMBER:
        return _read_number(option, value)
    if option.kind is OptionKind.BOOLEAN:
        return _read_boolean(option, value)
    if not isinstance(value, str) or len(value) > _LONGEST:
        raise ValueError(
            gettext("%(option)s has to be a text of at most %(longest)s characters.")
            % {"option": option.label, "longest": f"{_LONGEST:,}"}
        )
    if problem := find_problem(value):
        raise ValueError(f"{option.label} {problem}.")
    if option.kind is OptionKind.SECRET:
        return known_secrets.get(option.key) if value == MASK else value
    if option.kind is OptionKind.CHOICE and value not in dict(option.choices):
        raise ValueError(
            gettext("%(option)s has to be one of: %(choices)s.")
            % {"option": option.label, "choices": ", ".join(key for key, _ in option.choices)}
        )
    if option.key in _HOSTS and not settings.GROUPAROO_ALLOW_PRIVATE_HOSTS and is_private(value):
        raise ValueError(
            gettext(
                "%(option)s “%(value)s” is inside a private network. Whoever runs this installation "
                "can allow that by setting GROUPAROO_ALLOW_PRIVATE_HOSTS."
            )
            % {"option": option.label, "value": value}
        )
    return value


def _read_number(option: Option, value: Any) -> int | float:
    wrong = ValueError(
        gettext("%(option)s has to be a number, not “%(value)s”.") % {"option": option.label, "value": value}
    )
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise wrong
    try:
        number = float(value)
    except ValueError:
        raise wrong from None
    if not abs(number) < 2**53:  # NaN and Infinity, too
        raise wrong
    return int(number) if number.is_integer() else number


def _read_boolean(option: Option, value: Any) -> bool:
    word = value.lower() if isinstance(value, str) else value
    if word in _YES:
        return True
    if word in _NO:
        return False
    raise ValueError(gettext("%(option)s has to be true or false.") % {"option": option.label})
