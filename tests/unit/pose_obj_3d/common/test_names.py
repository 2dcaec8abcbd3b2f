"""What a message says of a name that is not known."""

from pose_obj_3d.common.names import near_names, some_names

MANY = [f"part{i}" for i in range(90)] + ["drawer_joint"]


def test_the_name_that_was_meant_whatever_its_case():
    assert near_names("Widht", ["HEIGHT", "WIDTH"]) == "did you mean WIDTH?"
    assert near_names("cam", ["cams"], "'") == "did you mean 'cams'?"


def test_all_that_is_allowed_where_nothing_is_near():
    assert near_names("?", ["b", "a"]) == "allowed: b, a"
    listed = near_names("?", MANY)
    assert listed.startswith("allowed: part0, part1, ")
    assert listed.endswith(", ...")
    assert len(listed) < 260
    assert near_names("x" * 10**6, ["b"]) == "allowed: b"


def test_few_names_are_listed_and_many_are_not():
    assert some_names("x", []) == "it has none"
    assert some_names("x", ["b", "a"]) == "it has a, b"
    assert some_names("drawer_joints", MANY).startswith("it has 91, such as drawer_joint")
    assert some_names("?", MANY) == "it has 91, such as drawer_joint, part0, part1, part10, part11"
