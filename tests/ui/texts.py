"""Reads templates and pages for texts that no translator would get to see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser

from django.template.base import DebugLexer, Token, TokenType

# What holds data or code; `translate="no"` says it of any other element, to browsers, too.
DATA = {"code", "pre", "kbd", "script", "style", "svg"}
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
SPOKEN = {"title", "aria-label", "aria-description", "aria-roledescription", "placeholder", "alt", "label"}
NAMES = {"Grouparoo"}  # of the product, in every language
WORD = re.compile(r"[^\W\d_]{2,}")

_FILLED = "\ue000"  # stands for what a tag or a variable brings
_ATTRIBUTES = re.compile(r"\s*[a-z-]+=\"")  # a piece for inside of a tag
_LITERAL = re.compile(r"""(?P<before>[\w:=(|]*)(?P<quote>["'])(?P<text>.*?)(?P=quote)""")
_STYLES = re.compile(r"(?:is-[\w-]+|num|wide-only|narrow-only|button|icon|\s)+")
_SILENT = {"if", "elif", "load", "url", "static", "extends", "cycle", "translate", "block", "icon"}
_LABELLED = {"status", "sort_head", "sort_link"}  # whose second argument is a text
_CLOSED = {"blocktranslate", "comment", "pattern"}  # is translated, is said to nobody, is a sample


@dataclass(frozen=True, order=True)
class Place:
    """A text, and the line that it begins in."""

    line: int
    text: str


class Page(HTMLParser):
    """Collects the texts of a page with their lines: what is read, and what is spoken or shown in attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[Place] = []
        self.open: list[tuple[str, bool]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        is_data = tag in DATA or ("translate", "no") in attrs or self.is_inside_data()
        is_button = tag == "input" and dict(attrs).get("type") in ("submit", "button", "reset")
        for name, value in attrs:
            if value and not self.is_inside_data() and (name in SPOKEN or (is_button and name == "value")):
                self.take_attribute(value)
        if tag not in VOID:
            self.open.append((tag, is_data))

    def handle_endtag(self, tag: str) -> None:
        places = [place for place, (name, _) in enumerate(self.open) if name == tag]
        del self.open[places[-1] if places else len(self.open) :]

    def handle_data(self, data: str) -> None:
        if data.strip() and not self.is_inside_data():
            self.take(data)

    def is_inside_data(self) -> bool:
        return bool(self.open) and self.open[-1][1]

    def take_attribute(self, text: str) -> None:
        self.take(text)

    def take(self, text: str) -> None:
        if has_text(text):
            self.found.append(Place(self.getpos()[0], text.strip()))


def has_text(text: str) -> bool:
    """Whether there is a word in it that is not the product's name."""
    return any(word not in NAMES for word in WORD.findall(text.replace(_FILLED, " ")))


def find_untranslated(source: str) -> list[Place]:
    """Every text of a template outside of `translate`, `blocktranslate` and `_("…")`."""
    page, literals = "", list[Place]()
    for token, lines in list_tokens(source):
        if token.token_type is TokenType.TEXT:
            page += token.contents
        else:
            is_shown = token.token_type is TokenType.VAR or word_of(token) in ("translate", *_CLOSED)
            page += (_FILLED if is_shown else "") + lines
            literals += find_literals(token)
    return sorted(Page(f"<p {page}>" if _ATTRIBUTES.match(page) else page).found + literals)


def list_tokens(source: str) -> Iterator[tuple[Token, str]]:
    """What a template is made of, and the line ends in each, without the inside of what is closed."""
    until = ""
    for token in DebugLexer(source).tokenize():
        lines = "\n" * source.count("\n", *(token.position or (0, 0)))
        is_block = token.token_type is TokenType.BLOCK
        if not until:
            yield token, lines
            until = f"end{word_of(token)}" if is_block and word_of(token) in _CLOSED else ""
        elif is_block and word_of(token) == until:
            until = ""


def word_of(token: Token) -> str:
    return (token.contents.split(maxsplit=1) or [""])[0]


def find_literals(token: Token) -> Iterator[Place]:
    """Texts that a template hands to a tag or a filter as they are."""
    if token.token_type not in (TokenType.VAR, TokenType.BLOCK) or word_of(token) in _SILENT:
        return
    for place, found in enumerate(_LITERAL.finditer(token.contents)):
        before, text = found["before"], found["text"]
        is_label = place > 0 and word_of(token) in _LABELLED
        is_handed = is_label or before.endswith(("|plural:", "|pluralize:", "|yesno:", "unit="))
        looks_read = re.search(r"^[A-Z][a-z]|\w [a-zA-Z]", text) and not before.endswith("date:")
        if not before.endswith("_(") and (is_handed or looks_read) and has_text(text) and not _STYLES.fullmatch(text):
            yield Place(token.lineno or 0, text)


# ---------------------------------------------------------------- a made-up language

BEGIN, END, FILL, FILLED = MARKS = "⟦⟧⟨⟩"
_PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
_FORMS = re.compile(r"[^,]+,[^,\s][^,]*")  # "person,people"


class MarkedLanguage:
    """A catalogue in place of English that has every text: in marks, with others around what is filled in."""

    def gettext(self, message: str) -> str:
        text = message.rpartition("\x04")[2]  # before it stands the context
        if text.isdigit():  # the places of plural forms
            return text
        forms = text.split(",") if _FORMS.fullmatch(text) else [text]
        marked = [_PLACEHOLDER.sub(lambda found: f"{FILL}{found[0]}{FILLED}", form) for form in forms]
        return ",".join(f"{BEGIN}{form}{END}" if form else "" for form in marked)

    def ngettext(self, one: str, many: str, count: float) -> str:
        return self.gettext(one if count == 1 else many)

    def to_language(self) -> str:
        return "en"


class MarkedPage(Page):
    """Collects the texts of a page in that language which stand in no marks."""

    def __init__(self, page: str, *, data: re.Pattern[str]) -> None:
        self.data = data
        self.marks: list[str] = []
        self.marks_before: list[int] = []
        super().__init__(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.marks_before.append(len(self.marks))
        super().handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        super().handle_endtag(tag)
        if len(self.marks_before) > len(self.open):  # what was cut short ends with its element
            del self.marks[self.marks_before[len(self.open)] :]
            del self.marks_before[len(self.open) :]

    def take_attribute(self, text: str) -> None:
        kept, self.marks = self.marks, []
        self.take(text)
        self.marks = kept

    def take(self, text: str) -> None:
        bare = ""
        for sign in text:
            if sign in (BEGIN, FILL):
                self.marks.append(sign)
            elif sign in (END, FILLED):
                del self.marks[-1:]
            is_bare = sign not in MARKS and (not self.marks or self.marks[-1] == FILL)
            bare += sign if is_bare else " "
        bare = self.data.sub(" ", bare)
        if has_text(bare):
            self.found.append(Place(self.getpos()[0], " ".join(bare.split())))
