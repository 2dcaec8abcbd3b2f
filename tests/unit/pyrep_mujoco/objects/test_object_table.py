"""Looking objects up: by name, by handle, by kind."""

import pytest

from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.objects.object_table import ObjectTable


class Thing:
    """An object with a name."""

    def __init__(self, name, handle):
        self.name, self.handle, self.is_there = name, handle, True

    def get_name(self):
        return self.name

    def get_handle(self):
        return self.handle

    def still_exists(self):
        return self.is_there


class Lamp(Thing):
    """Another kind."""


@pytest.fixture
def table():
    found = ObjectTable("room.xml")
    for thing in (Thing("chair", 1), Lamp("lamp", 2)):
        found.add(thing)
        found.give_handle(thing.handle, thing)
    found.add_joint(Thing("hinge", 9))
    return found


def test_by_name_and_kind(table):
    assert table.find("lamp", Lamp, "lamp").name == "lamp"
    assert table.names() == ["chair", "lamp"]
    assert [o.name for o in table.of_kind(Lamp)] == ["lamp"]
    assert [o.name for o in table.joints()] == ["hinge"]


@pytest.mark.parametrize(("name", "kind"), [("lampe", Thing), ("chair", Lamp)])
def test_what_is_not_there_is_refused_with_names_like_it(table, name, kind):
    with pytest.raises(SceneError, match=rf"room\.xml has no thing named '{name}'.*lamp"):
        table.find(name, kind, "thing")


def test_joints_have_names_of_their_own(table):
    assert table.find_joint("hinge", Thing).handle == 9
    assert not table.has("hinge")
    with pytest.raises(SceneError, match=r"room\.xml has no joint named 'chair'"):
        table.find_joint("chair", Thing)


def test_what_is_gone_is_not_found(table):
    table.find("lamp", Lamp, "lamp").is_there = False
    assert not table.has("lamp")
    assert table.names() == ["chair"]
    with pytest.raises(SceneError):
        table.find("lamp", Lamp, "lamp")


def test_handles_come_and_go(table):
    assert table.of_handle(9).name == "hinge"
    table.free_handle(2)
    with pytest.raises(KeyError):
        table.of_handle(2)


def test_what_waits_is_called_before_objects_are_listed(table):
    table.before_listing(lambda: table.add(Lamp("late", 3)))
    assert [o.name for o in table.of_kind(Lamp)] == ["lamp", "late"]
