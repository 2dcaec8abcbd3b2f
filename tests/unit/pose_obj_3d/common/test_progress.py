"""Bars of long loops: where a command wants them, on a terminal."""

import io
import sys

import pytest

from pose_obj_3d.common import progress


class Terminal(io.StringIO):
    """What says that it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def use(monkeypatch):
    """Put a stream in the place of stderr, in the test itself: pytest sets its own before that."""
    monkeypatch.setattr(progress, "BAR_AFTER_S", 0.0)

    def put(stream):
        monkeypatch.setattr(sys, "stderr", stream)
        return stream

    return put


def test_commands_show_a_bar(use):
    terminal = use(Terminal())
    with progress.bars():
        assert list(progress.loop([1, 2, 3], "triangulating")) == [1, 2, 3]
    assert "triangulating" in terminal.getvalue()


def test_functions_show_none(use):
    terminal = use(Terminal())
    assert list(progress.loop([1, 2, 3], "triangulating")) == [1, 2, 3]
    with progress.bars():
        pass
    assert list(progress.loop(range(2), "triangulating")) == [0, 1]
    assert terminal.getvalue() == ""


def test_files_get_none(use):
    found = use(io.StringIO())
    with progress.bars():
        assert list(progress.loop([1], "triangulating")) == [1]
    assert found.getvalue() == ""
