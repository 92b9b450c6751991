"""Reading rules: what is refused and in which words, and how rules are said in a sentence."""

from __future__ import annotations

from typing import Any

import pytest

from core.lib.errors import InvalidInput
from groups.reading import MAX_LEAVES, read_tree, write_tree
from groups.sentence import say_tree
from groups.tree import Leaf
from tests.groups.test_operators import RULES


def leaf(key: str, operator: str, **more: Any) -> dict[str, Any]:
    """One rule."""
    return {"property": key, "operator": operator, **more}


def tree(*rules: Any, match: str = "all") -> dict[str, Any]:
    """Rules that all have to match, or any."""
    return {"match": match, "rules": list(rules)}


@pytest.mark.parametrize(
    ("rules", "place", "words"),
    [
        (None, "rules", "Rules are an object"),
        ([], "rules", "Rules are an object"),
        (tree(), "rules", "Add at least one rule"),
        (tree(leaf("the_string", "exists"), match="most"), "rules.match", '"all", "any" or "none"'),
        (tree("ltv > 0"), "rules.0", "A rule is an object"),
        (tree(tree(tree(tree(tree(tree(leaf("the_string", "exists"))))))), "rules.0.0.0.0.0", "nested 5 deep"),
        (tree(tree()), "rules.0", "Add at least one rule"),
        (tree(tree(leaf("the_float", "equals", value="x"))), "rules.0.0.value", "is not"),
        ({**tree(leaf("the_string", "exists")), "name": "x"}, "rules", "cannot have name"),
        (tree({"property": "the_string", "operator": "exists", "event": "order"}), "rules.0", "cannot have event"),
        (tree({"event": "order", "times": 3}), "rules.0", "A rule about an event cannot have times"),
        (tree({"event": "", "operator": "did"}), "rules.0.event", "Say which event"),
        (tree({"event": "order", "operator": "often"}), "rules.0.operator", "did, did_not, at_least"),
        (tree({"event": "order", "operator": ["did"]}), "rules.0.operator", "did, did_not, at_least"),
        (tree({"event": "order", "operator": "did", "value": 2}), "rules.0.value", "takes no number"),
        (tree({"event": "order", "operator": "at_least"}), "rules.0.value", "whole number from 1"),
        (tree({"event": "order", "operator": "at_least", "value": 0}), "rules.0.value", "whole number from 1"),
        (tree({"event": "order", "operator": "at_most", "value": -1}), "rules.0.value", "whole number from 0"),
        (tree({"event": "order", "operator": "did", "within": "a week"}), "rules.0.within", '{"amount": 7'),
        (tree({"event": "order", "operator": "did", "where": {}}), "rules.0.where", "list of at most 10"),
        (
            tree({"event": "order", "operator": "did", "where": [{"key": "total", "type": "date"}]}),
            "rules.0.where.0.type",
            "text, number, boolean",
        ),
        (
            tree({"event": "o", "operator": "did", "where": [{"key": "t", "operator": "greater_than", "value": 1}]}),
            "rules.0.where.0.operator",
            "t (string) can be asked",
        ),
        (
            tree({"event": "o", "operator": "did", "where": [{"operator": "exists"}]}),
            "rules.0.where.0.key",
            "which key",
        ),
        (tree({"group": 3, "operator": "in"}), "rules.0.group", "There is no group 3"),
        (tree({"group": None, "operator": "in"}), "rules.0.group", "Choose a group"),
        (tree({"group": 7, "operator": "near"}), "rules.0.operator", "in, not_in"),
        (tree({"profile": "shoe_size", "operator": "exists"}), "rules.0.profile", "created_at, updated_at, guid"),
        (tree({"profile": "guid", "operator": "contains", "value": "a"}), "rules.0.operator", "equals"),
        (tree({"profile": "created_at", "operator": "exists"}), "rules.0.operator", "can be asked"),
        (tree(leaf("many_string", "equals", value="a", items="some")), "rules.0.items", '"any" or "all"'),
        (tree(leaf("the_string", "equals", value="a", items="all")), "rules.0.items", "no meaning"),
        (tree(leaf("many_string", "does_not_equal", value="a", items="all")), "rules.0.items", "no meaning"),
        (tree({}), "rules.0.property", "Choose a property"),
        (tree(leaf("shoe_size", "exists")), "rules.0.property", "There is no property shoe_size"),
        (tree(leaf("the_integer", "contains", value="1")), "rules.0.operator", "can be asked: equals"),
        (tree(leaf("the_string", "includes", value="1")), "rules.0.operator", "can be asked"),
        (
            tree(leaf("many_date", "in_the_past", value={"amount": 1, "unit": "days"})),
            "rules.0.operator",
            "list of date",
        ),
        (tree(leaf("the_string", "equals")), "rules.0.value", "give one value"),
        (tree(leaf("the_string", "equals", value="  ")), "rules.0.value", "give a value"),
        (tree(leaf("the_string", "contains", value="")), "rules.0.value", "give a text"),
        (tree(leaf("the_string", "contains", value="a\0b")), "rules.0.value", "cannot be stored"),
        (tree(leaf("the_string", "contains", value="a\ud800b")), "rules.0.value", "cannot be stored"),
        (tree(leaf("the_string", "is_any_of", value=[])), "rules.0.value", "give a list"),
        (tree(leaf("the_string", "is_any_of", value=["a", None])), "rules.0.value", "give one value"),
        (tree(leaf("the_email", "equals", value="alice at home")), "rules.0.value", "not an email address"),
        (tree(leaf("the_integer", "greater_than", value="many")), "rules.0.value", "is not a"),
        (tree(leaf("the_float", "greater_than", value=True)), "rules.0.value", "is not a"),
        (tree(leaf("the_float", "less_than", value=float("nan"))), "rules.0.value", "is not"),
        (tree(leaf("the_float", "between", value=[1])), "rules.0.value", "two values"),
        (tree(leaf("the_float", "between", value=[2, 1])), "rules.0.value", "greater than the second"),
        (
            tree(leaf("the_date", "between", value=["2024-03-02", "2024-03-01"])),
            "rules.0.value",
            "later than the second",
        ),
        (tree(leaf("the_date", "before", value="yesterday")), "rules.0.value", "write a day such as"),
        (tree(leaf("the_date", "before", value="2024-02-30")), "rules.0.value", "not a date that exists"),
        (tree(leaf("the_date", "in_the_past", value=7)), "rules.0.value", '{"amount": 7, "unit": "days"}'),
        (
            tree(leaf("the_date", "in_the_past", value={"amount": 7, "unit": "fortnights"})),
            "rules.0.value",
            "one of hours",
        ),
        (tree(leaf("the_date", "in_the_past", value={"amount": 0, "unit": "days"})), "rules.0.value", "from 1 to"),
        (tree(leaf("the_date", "in_the_past", value={"amount": True, "unit": "days"})), "rules.0.value", "from 1 to"),
        (tree(leaf("the_string", "exists", value="a")), "rules.0.value", "leave the value out"),
        (tree(leaf("the_string", "equals", value="a", include_null=True)), None, ""),
        (tree(leaf("the_string", "equals", value="a", include_null=False)), "rules.0.include_null", "no meaning"),
        (tree(leaf("the_float", "equals", value=1, case_sensitive=True)), "rules.0.case_sensitive", "no meaning"),
        (
            tree(leaf("the_string", "does_not_equal", value="a", include_null="no")),
            "rules.0.include_null",
            "true or false",
        ),
        (tree(*[leaf("the_string", "exists")] * (MAX_LEAVES + 1)), "rules", "at most 100"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_at_their_place_in_clear_words(
    rules: Any, place: str | None, words: str
) -> None:
    if place is None:
        assert write_tree(rules) == rules
        return
    with pytest.raises(InvalidInput) as refused:
        read_tree(rules, by_key=RULES, groups={7: "VIPs"})
    assert words in refused.value.fields[place]
    assert words in refused.value.message


def test_every_wrong_rule_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as refused:
        read_tree(
            tree(leaf("shoe_size", "exists"), leaf("the_float", "equals"), leaf("the_float", "exists")), by_key=RULES
        )
    assert sorted(refused.value.fields) == ["rules.0.property", "rules.1.value"]


def test_values_are_read_as_values_of_that_type_always_are() -> None:
    node = read_tree(
        tree(
            leaf("the_email", "equals", value=" Alice@Example.com "),
            leaf("the_phone_number", "equals", value="(415) 555-0132"),
            leaf("the_integer", "equals", value="9007199254740993"),
        ),
        by_key=RULES,
    )
    assert [each.argument for each in node.leaves() if isinstance(each, Leaf)] == [
        "alice@example.com",
        "+14155550132",
        9007199254740993,
    ]


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        (
            tree(
                leaf("the_float", "greater_than", value=0),
                leaf("the_date", "more_than_ago", value={"amount": 2, "unit": "months"}),
            ),
            "People whose the_float is greater than 0 and whose the_date is more than 2 months ago.",
        ),
        (
            tree(
                leaf("the_string", "does_not_contain", value="x", include_null=False),
                leaf("the_date", "in_the_past", value={"amount": 1, "unit": "weeks"}),
                match="any",
            ),
            "People whose the_string does not contain “x” (and is known) or whose the_date is in the past 1 week.",
        ),
        (
            tree(leaf("the_date", "on_or_after", value="2024-03-01")),
            "People whose the_date is on or after 1 March 2024.",
        ),
        (tree(leaf("the_float", "between", value=[1, 2.5])), "People whose the_float is between 1 and 2.5."),
        (tree(leaf("the_string", "is_any_of", value=["a", "b"])), "People whose the_string is any of “a”, “b”."),
        (tree(leaf("many_string", "includes", value="a")), "People whose many_string includes “a”."),
        (tree(leaf("many_string", "does_not_contain", value="a")), "People for whom none of many_string contains “a”."),
        (tree(leaf("many_integer", "less_than", value=3)), "People for whom one of many_integer is less than 3."),
        (tree(leaf("the_boolean", "is_true")), "People whose the_boolean is true."),
        (
            tree(leaf("many_integer", "less_than", value=3, items="all"), {"group": 7, "operator": "not_in"}),
            "People for whom every one of many_integer is less than 3 and who are not in VIPs.",
        ),
        (
            tree(
                tree(leaf("the_url", "exists"), leaf("the_url", "exists"), match="any"),
                tree({"group": 7, "operator": "in"}, match="none"),
            ),
            "People (whose the_url exists or whose the_url exists) and for whom this does not hold: (who are in VIPs).",
        ),
        (
            tree(
                {
                    "event": "Purchase",
                    "operator": "at_least",
                    "value": 2,
                    "within": {"amount": 30, "unit": "days"},
                    "where": [{"key": "total", "type": "number", "operator": "greater_than", "value": 10}],
                }
            ),
            "People who did Purchase at least twice where total is greater than 10 in the past 30 days.",
        ),
        (tree({"event": "Purchase", "operator": "did_not"}), "People who did not do Purchase."),
        (tree({"event": "Cart", "operator": "at_most", "value": 1}), "People who did Cart at most once."),
        (
            tree({"profile": "created_at", "operator": "in_the_past", "value": {"amount": 1, "unit": "weeks"}}),
            "People whose Created is in the past 1 week.",
        ),
    ],
)
def test_rules_are_said_in_one_english_sentence(rules: dict[str, Any], sentence: str) -> None:
    assert say_tree(read_tree(rules, by_key=RULES, groups={7: "VIPs"})) == sentence
