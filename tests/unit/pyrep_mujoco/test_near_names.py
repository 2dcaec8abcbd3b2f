"""Messages stay one line of a readable length."""

from pyrep_mujoco.near_names import near_names


def test_few_names_are_listed_and_many_are_searched():
    assert near_names("x", []) == "it has none"
    assert near_names("x", ["b", "a"]) == "it has a, b"
    many = [f"part{i}" for i in range(90)] + ["drawer_joint"]
    assert near_names("drawer_joints", many).startswith("it has 91, such as drawer_joint")
    assert near_names("?", many) == "it has 91, such as drawer_joint, part0, part1, part10, part11"
