"""RLBench's named sets of tasks, read from a checkout."""

import pytest

import rlbench.tasks
from rlbench.backend.exceptions import TaskFileError
from rlbench.backend.placement_rules import RLBENCH_RULES
from rlbench.backend.task_files import Checkout
from rlbench.checkout.task_sets import read_task_sets
from tests.unit.rlbench.checkout.checkout_files import write_checkout

SETS = """
from rlbench.tasks.pick_and_lift import PickAndLift
from rlbench.tasks.reach_target import ReachTarget
from rlbench.tasks.set_the_table import SetTheTable
import os

FS10_V1 = {
    'train': [ReachTarget, SetTheTable],
    'test': [PickAndLift],
}
OTHER = 3
MT15_V1 = {'train': FS10_V1['train'] + FS10_V1['test'] + []}
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    def write(text=SETS):
        root = write_checkout(tmp_path)
        (root / "rlbench" / "tasks" / "__init__.py").write_text(text)
        monkeypatch.setenv("RLBENCH_ROOT", str(root))
        return Checkout(root)

    monkeypatch.delenv("RLBENCH_TASKS_FROM", raising=False)
    return write


def test_sets_are_read_by_name(checkout):
    assert read_task_sets(checkout()) == {
        "FS10_V1": {"train": ["reach_target", "set_the_table"], "test": ["pick_and_lift"]},
        "MT15_V1": {"train": ["reach_target", "set_the_table", "pick_and_lift"]},
    }


def test_sets_are_imported_as_in_rlbench(checkout):
    checkout()
    with pytest.warns(UserWarning, match="MT15_V1: 1 tasks are left out, .*: set_the_table"):
        from rlbench.tasks import MT15_V1  # noqa: PLC0415
    assert [task.__name__ for task in MT15_V1["train"]] == ["ReachTarget", "PickAndLift"]
    assert MT15_V1["train"][0] is rlbench.tasks.ReachTarget


def test_what_is_not_there_is_told(checkout, monkeypatch):
    root = checkout().root
    with pytest.raises(
        ImportError, match="there is no MT99_V1; there are FS10_V1, FS95_V1, MT15_V1"
    ):
        from rlbench.tasks import MT99_V1  # noqa: F401, PLC0415
    (root / "rlbench" / "tasks" / "set_the_table.py").write_text("")
    with pytest.raises(ImportError, match=r"'set_the_table' is not .*set_the_table\.ttm not found"):
        from rlbench.tasks import SetTheTable  # noqa: F401, PLC0415
    assert not hasattr(rlbench.tasks, "Nonsense")
    monkeypatch.delenv("RLBENCH_ROOT")
    with pytest.raises(ImportError, match="FS10_V1 is a set of RLBench's tasks; set RLBENCH_ROOT"):
        from rlbench.tasks import FS10_V1  # noqa: F401, PLC0415


def test_the_set_with_ids_needs_no_checkout(checkout, monkeypatch):
    monkeypatch.delenv("RLBENCH_ROOT", raising=False)
    with pytest.warns(UserWarning, match="FS95_V1: 87 tasks are left out, .* not in this package"):
        from rlbench.tasks import FS95_V1  # noqa: PLC0415
    assert [task.__name__ for task in FS95_V1["train"][:2]] == ["ReachTarget", "CloseFridge"]
    assert len(FS95_V1["train"]) == 8
    assert FS95_V1["test"] == []
    checkout()
    with pytest.warns(UserWarning, match="FS95_V1: 87 tasks are left out"):
        theirs = rlbench.tasks.FS95_V1
    assert theirs["train"][0].rules is RLBENCH_RULES
    checkout(SETS + "FS95_V1 = {'train': [PickAndLift], 'test': [ReachTarget]}\n")
    assert [t.__name__ for t in rlbench.tasks.FS95_V1["test"]] == ["ReachTarget"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("FS10_V1 = 3", "__init__.py:1: a task set must be a dictionary .*, found '3'"),
        ("\nFS10_V1 = {'train': [Nobody]}", "__init__.py:2: .*, found 'Nobody'"),
        ("MT15_V1 = {'train': FS10_V1['train']}", r"found \"FS10_V1\['train'\]\""),
        ("FS10_V1 = {**x}", "found '{\\*\\*x}'"),
        ("def", "__init__.py cannot be read: invalid syntax"),
    ],
)
def test_sets_written_otherwise_are_refused(checkout, text, message):
    with pytest.raises(TaskFileError, match=message):
        read_task_sets(checkout(text))
