"""Variables of templates."""

from __future__ import annotations

import pytest

from core.lib.templates import TemplateError, Variable, split, variables


def test_variables_are_named_once_in_the_order_of_their_first_use() -> None:
    template = "select {{ profile.b }}, {{profile.a}}, {{profile.b}} where x > {{high_water_mark}}"
    assert variables(template) == ["b", "a"]


def test_pieces_keep_the_text_between_the_variables() -> None:
    pieces = list(split("a {{profile.x}}{{high_water_mark}} }} b"))
    assert pieces == ["a ", Variable("x"), Variable("high_water_mark", is_property=False), " }} b"]


@pytest.mark.parametrize("template", ["{{user_id}}", "{{profile.}}", "{{profile.Id}}", "{{}}", "{{profile.a-b}}"])
def test_anything_else_in_braces_says_what_to_write(template: str) -> None:
    with pytest.raises(TemplateError, match=r"write \{\{profile.KEY\}\}"):
        variables(template)


@pytest.mark.parametrize("template", ["select {{profile.x", "{{"])
def test_braces_that_never_close_are_told(template: str) -> None:
    with pytest.raises(TemplateError, match="without its }}"):
        variables(template)
