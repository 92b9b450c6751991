"""`{% pattern _("Name") %}…{% endpattern %}`: a component as it looks, and the lines of template that make it."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import dedent

from django import template
from django.template.base import NodeList, Parser, Token, TokenType
from django.template.context import Context
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.text import slugify
from django.utils.translation import gettext

register = template.Library()

_MARKS = {TokenType.TEXT: "{}", TokenType.VAR: "{{{{ {} }}}}", TokenType.BLOCK: "{{% {} %}}", TokenType.COMMENT: ""}


class PatternNode(template.Node):
    """What stands between the tags, shown and told."""

    def __init__(self, name: str, inner: NodeList, source: str) -> None:
        self.name, self.nodelist, self.source = name, inner, source

    def render(self, context: Context) -> SafeString:
        """The component, with its source to unfold. A sample is no text of a page: its words stay as they are."""
        shown = mark_safe(self.nodelist.render(context))  # noqa: S308  our own template, rendered with escaping
        name = gettext(self.name)
        return format_html(
            '<div class="stack is-tight"><p class="meta">{}</p><div data-pattern="{}" translate="no">{}</div>'
            '<details><summary class="meta">{}<span class="sr">: {}</span></summary>'
            '<pre class="code" tabindex="0" role="region" aria-label="{}">{}</pre></details></div>',
            *(name, slugify(self.name), shown, gettext("How it is made"), name),
            *(gettext("Source: %(pattern)s") % {"pattern": name}, self.source),
        )


@register.tag
def pattern(parser: Parser, token: Token) -> PatternNode:
    """Everything up to `endpattern`, and its text: the lexer has kept that."""
    name = token.split_contents()[1].removeprefix("_(").removesuffix(")").strip("\"'")
    ahead = [each for each in reversed(parser.tokens) if isinstance(each, Token)]  # it takes them from the end
    end = next(place for place, each in enumerate(ahead) if each.contents == "endpattern")
    inner = parser.parse(("endpattern",))
    parser.delete_first_token()
    return PatternNode(name, inner, write_source(ahead[:end]))


def write_source(tokens: Sequence[Token]) -> str:
    """The lines of template that these tokens were read from."""
    return dedent("".join(_MARKS[each.token_type].format(each.contents) for each in tokens)).strip()
