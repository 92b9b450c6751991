"""Finds what of a template is text for people and not ready for translation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from django.template.base import DebugLexer, Token, TokenType

# What holds data or code; `translate="no"` says it of any other element, to browsers, too.
DATA = {"code", "pre", "kbd", "script", "style", "svg", "time"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SPOKEN = {"title", "aria-label", "aria-description", "aria-roledescription", "placeholder", "alt", "label"}
NAMES = {"Grouparoo"}  # of the product, in every language
LETTERS = re.compile(r"[^\W\d_]{2,}")
_FILLED = "\ue000"  # stands for what a tag or a variable brings
_LITERAL = re.compile(r"""(?P<before>[\w:=(|]*)(?P<quote>["'])(?P<text>.*?)(?P=quote)""")
_SILENT = {"if", "elif", "load", "url", "static", "extends", "cycle", "translate", "blocktranslate", "block", "comment"}


@dataclass(frozen=True, order=True)
class Place:
    """A text, and the line that it begins in."""

    line: int
    text: str


class Page(HTMLParser):
    """Collects the texts of an HTML page with their lines: what is read, and what is spoken or shown in attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Place] = []
        self.open: list[tuple[str, bool]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_data = tag in DATA or ("translate", "no") in attrs or self.is_inside_data()
        if tag not in VOID:
            self.open.append((tag, is_data))
        is_button = tag == "input" and dict(attrs).get("type") in ("submit", "button", "reset")
        for name, value in attrs:
            if value and not is_data and (name in SPOKEN or (is_button and name == "value")):
                self.found.append(Place(self.getpos()[0], value))

    def handle_endtag(self, tag: str) -> None:
        places = [place for place, (name, _) in enumerate(self.open) if name == tag]
        del self.open[places[-1] if places else len(self.open) :]

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.is_inside_data():
            self.found.append(Place(self.getpos()[0], data.strip()))

    def is_inside_data(self) -> bool:
        return bool(self.open) and self.open[-1][1]


def find_untranslated(source: str) -> list[Place]:
    """Every text of a template outside of `translate`, `blocktranslate` and `_("…")`."""
    plain = [place for place in Page("".join(write_plain(source))).found if has_text(place.text)]
    return sorted(plain + [place for token in DebugLexer(source).tokenize() for place in find_literals(token)])


def has_text(text: str) -> bool:
    """Whether there is a word in it that is not the product's name."""
    return any(word not in NAMES for word in LETTERS.findall(text.replace(_FILLED, " ")))


def write_plain(source: str) -> Iterator[str]:
    """The template as a page: without what is translated, a sign for each value."""
    skipped_until = ""
    for token in DebugLexer(source).tokenize():
        lines = "\n" * source.count("\n", *(token.position or (0, 0)))
        word = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
        if skipped_until:
            skipped_until = "" if word == skipped_until and token.token_type is TokenType.BLOCK else skipped_until
            yield lines
        elif token.token_type is TokenType.TEXT:
            yield token.contents
        elif token.token_type is TokenType.BLOCK and word in ("blocktranslate", "comment"):
            skipped_until = f"end{word}"
            yield _FILLED + lines
        else:
            yield (_FILLED if token.token_type is TokenType.VAR or word == "translate" else "") + lines


def find_literals(token: Token) -> Iterator[Place]:
    """Texts that a template hands to a tag or a filter as they are."""
    word = token.contents.split(maxsplit=1)[0] if token.contents.strip() else ""
    if token.token_type not in (TokenType.VAR, TokenType.BLOCK) or word in _SILENT:
        return
    for found in _LITERAL.finditer(token.contents):
        before, text = found["before"], found["text"]
        is_counted = before.endswith(("|plural:", "|pluralize:", "|yesno:", "unit="))
        looks_read = re.search(r"^[A-Z][a-z]|[a-z] [a-zA-Z]", text) and not before.endswith(("date:", "look=", "class="))
        if not before.endswith("_(") and (is_counted or looks_read) and has_text(text):
            yield Place(token.lineno or 0, text)
