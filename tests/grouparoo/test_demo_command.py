"""The demo command around the shop: it shows the flow, ends when it is done, and says when it is not."""

from __future__ import annotations

import io

import pytest
from django.core.management.base import CommandError

from grouparoo import demo
from grouparoo.demo import Flow
from grouparoo.management.commands import demo as command
from grouparoo.screen import Bar, Screen


def play(monkeypatch: pytest.MonkeyPatch, *flows: Flow, stop: bool = False) -> str:
    """Follow a flow that is seen in these states, one after the other; return what was shown."""
    seen = iter(flows)
    monkeypatch.setattr(demo, "start", lambda: None)
    monkeypatch.setattr(demo, "look", lambda: next(seen))
    out = io.StringIO()
    command.follow_flow(Screen(out), is_stopped=lambda seconds: stop)
    return out.getvalue()


def test_the_flow_is_shown_until_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    states = [Flow([Bar("users", done=done, total=2, ended=done == 2)], is_done=done == 2) for done in range(3)]
    assert play(monkeypatch, *states).count("users") == 3


def test_a_problem_ends_it_with_its_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="The import of carts failed"):
        play(monkeypatch, Flow([], is_done=False, problem="The import of carts failed."))


def test_a_flow_that_does_not_move_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "STUCK_SECONDS", -1.0)
    with pytest.raises(CommandError, match="Nothing has moved"):
        play(monkeypatch, Flow([], is_done=False))


def test_a_stop_ends_it_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    assert play(monkeypatch, Flow([], is_done=False), stop=True) == ""
