"""Messages stay one line of a readable length."""

from pyrep_mujoco.near_names import near_names, nearest


def test_few_names_are_listed_and_many_are_searched():
    assert near_names("x", []) == "it has none"
    assert near_names("x", ["b", "a"]) == "it has a, b"
    many = [f"part{i}" for i in range(90)] + ["drawer_joint"]
    assert near_names("drawer_joints", many).startswith("it has 91, such as drawer_joint")
    assert near_names("?", many) == "it has 91, such as drawer_joint, part0, part1, part10, part11"


def test_the_most_similar_come_first_and_else_the_first():
    assert nearest("dor", ["lamp", "drawer", "door"]) == ["door", "drawer"]
    assert nearest("?", ["b", "a"]) == ["b", "a"]
