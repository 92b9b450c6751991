"""What a terminal shows: bars below, lines above."""

from __future__ import annotations

import io

from grouparoo.screen import Bar, Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_bar_says_how_far_it_is() -> None:
    half = Bar("users", done=1500, total=3000)
    assert "50%" in half.draw(5)
    assert "1,500 of 3,000" in half.draw(5)
    assert "100%" in Bar("users", done=3000, total=3000, ended=True).draw(5)
    assert "  0%" in Bar("users", done=7, total=None).draw(5)


def test_more_than_expected_is_not_more_than_everything() -> None:
    assert Bar("users", done=12, total=10).share == 1.0


def test_a_line_is_printed_above_the_bars() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.show([Bar("users", done=1, total=2)])
    out.truncate(0)
    out.seek(0)
    screen.write("worker | hello")
    assert out.getvalue().startswith("\x1b[1F\x1b[Jworker | hello\n")
    assert out.getvalue().rstrip().endswith("1 of 2")


def test_without_a_terminal_a_bar_speaks_once_a_quarter() -> None:
    out = io.StringIO()
    screen = Screen(out)
    for done in range(101):
        screen.show([Bar("users", done=done, total=100)])
    assert out.getvalue().count("\n") == 5
    assert "\x1b" not in out.getvalue()


def test_finished_bars_stay() -> None:
    out = Terminal()
    screen = Screen(out)
    screen.show([Bar("users", done=2, total=2, ended=True)])
    screen.finish()
    screen.write("done")
    assert out.getvalue().count("users") == 1
