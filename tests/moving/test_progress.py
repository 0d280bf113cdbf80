"""What is shown of a move."""

from __future__ import annotations

import io

from userline.moving.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_terminal_has_a_bar() -> None:
    screen, clock = Terminal(), Clock()
    progress = Progress(screen, "writing", 1000, clock=clock)
    progress.show(0, 0)
    clock.now += 2
    progress.show(500, 4000)
    clock.now += 0.01
    progress.show(600, 4800)
    progress.finish(1000, 8000)
    shown = screen.getvalue().split("\r")
    assert len(shown) == 4
    assert shown[2] == "[############............] writing  50%  4,000 users  2,000/s  0:00:02 left\x1b[K"
    assert shown[3].startswith("[########################] writing 100%  8,000 users")
    assert shown[3].endswith("\x1b[K\n")


def test_elsewhere_there_is_a_line_now_and_then() -> None:
    screen, clock = io.StringIO(), Clock()
    progress = Progress(screen, "writing", 1000, already=100, clock=clock)
    for done in range(0, 1000, 25):
        progress.show(done, 100 + done)
        clock.now += 0.25
    progress.finish(1000, 1100)
    lines = screen.getvalue().splitlines()
    assert len(lines) == 3
    assert lines[1] == "writing  50%  600 users  100/s  0:00:05 left"
    assert "\r" not in screen.getvalue()


def test_nothing_at_all_is_done_at_once() -> None:
    screen = io.StringIO()
    Progress(screen, "exporting", 0, clock=Clock()).finish(0, 0)
    assert screen.getvalue() == "exporting 100%  0 users\n"


def test_a_total_that_is_a_guess_is_called_one() -> None:
    """MongoDB's count is wrong after a crash: there may be more users than it says, or fewer."""
    for counted in (0, 10, 1000):
        screen, clock = io.StringIO(), Clock()
        progress = Progress(screen, "exporting", counted, about=True, clock=clock)
        for done in (0, 300, 600):
            clock.now += 10
            progress.show(done, done)
        lines = screen.getvalue().splitlines()
        assert all(line.startswith("exporting about ") for line in lines)
        assert "100%" not in screen.getvalue()
