"""Task files in RLBench's style run unchanged."""

import itertools
import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest

from rlbench import compat
from rlbench.backend.exceptions import (
    DemoError,
    SceneError,
    TaskFileError,
    TaskNotAvailableError,
    WrongObjectTypeError,
)
from rlbench.backend.pyrep_names.scene_context import current_engine, using
from rlbench.catalogue import Catalogue
from rlbench.checkout import enable
from rlbench.checkout.check_names import main as check_names
from rlbench.environment import Environment
from rlbench.tasks import TASK_NAMES, get_task_class, task_id
from rlbench.tasks.registry import unknown_task
from tests.contract import fake_pyrep
from tests.unit.rlbench.checkout.checkout_files import LIFT, REACH, write_checkout, write_task

pytestmark = pytest.mark.usefixtures("own_settings")


@pytest.fixture
def checkout(tmp_path):
    return write_checkout(tmp_path / "checkout")


@pytest.fixture
def launch():
    made = []

    def start(root, **options):
        env = Environment(rlbench_root=root, **options)
        env.launch()
        made.append(env)
        return env

    yield start
    for env in made:
        env.shutdown()


# ---- running ------------------------------------------------------------------------------


def test_an_unknown_task_is_answered_with_similar_ones():
    few = str(unknown_task("reach", ["reach_target", "mine"], "reach.py not found"))
    assert few.endswith("reach.py not found; there are 0 reach_target, mine")
    many = str(unknown_task("pik_and_lift", TASK_NAMES, "pik_and_lift.py not found"))
    assert f"; there are {len(TASK_NAMES)} tasks, such as pick_and_lift" in many
    assert len(many) < 300


@pytest.mark.parametrize("name", ["reach_target", "pick_and_lift"])
def test_a_task_file_demonstrates_and_repeats_itself(checkout, launch, name):
    task = launch(checkout).get_task(name)
    task.set_variation(1)
    np.random.seed(1)  # noqa: NPY002 - what the user does with it must not matter
    random.seed(1)
    first = task.get_demo(3, 0)
    again = task.get_demo(3, 0)
    other = task.get_demo(3, 1)
    assert [o.keypoints.tolist() for o in first] == [o.keypoints.tolist() for o in again]
    assert first[0].keypoints.tolist() != other[0].keypoints.tolist()
    assert first.task_name == name
    assert first.descriptions


def test_the_class_and_its_file_are_the_checkouts(checkout, launch):
    cls = get_task_class("reach_target", checkout)
    assert cls.__name__ == "ReachTarget"
    assert cls.origin.file == checkout / "rlbench" / "tasks" / "reach_target.py"
    task = launch(checkout).get_task(cls)
    assert task.get_name() == "reach_target"
    assert task.variation_count() == 20


def test_no_module_of_pyrep_is_left_behind(checkout, launch):
    task = launch(checkout).get_task("pick_and_lift")
    task.reset()
    assert not [name for name in sys.modules if name.partition(".")[0] == "pyrep"]


def test_two_scenes_do_not_mix(checkout, launch):
    first = launch(checkout).get_task("reach_target")
    second = launch(checkout).get_task("pick_and_lift")
    for task in (first, second, first):
        task.reset()
    # Outside of tasks the scene loaded last is meant.
    assert current_engine().has("pick_and_lift_target")
    with using(first.scene.engine):
        assert current_engine().has("distractor0")
    assert current_engine().has("pick_and_lift_target")


def test_scripts_can_import_pyrep_after_enable(checkout, launch, monkeypatch):
    before = dict(sys.modules)
    launch(checkout).get_task("pick_and_lift").reset()
    try:
        assert compat.enable is enable  # the name that scripts had it by
        enable()
        from pyrep.const import ObjectType
        from pyrep.objects.dummy import Dummy
        from pyrep.objects.object import Object
        from pyrep.objects.shape import Shape
        from pyrep.robots.arms.panda import Panda
        from pyrep.robots.arms.ur5 import UR5
        from pyrep.robots.end_effectors.robotiq85_gripper import Robotiq85Gripper

        block = Shape("pick_and_lift_target")
        assert isinstance(block, Shape)
        assert isinstance(block, Object)
        assert not isinstance(block, Dummy)
        assert Object.get_object_type("waypoint0") == ObjectType.DUMMY
        assert Shape(block.get_handle()) is block
        assert Panda().get_tip().get_name() == "Panda_tip"
        assert UR5() is Panda()  # the robot of the scene, whichever is named
        assert hasattr(Robotiq85Gripper(), "actuate")
        frame = Dummy.create()
        frame.set_parent(block)
        frame.set_position([0, 0, 0.1], relative_to=block)
        assert np.allclose(frame.get_position(block), [0, 0, 0.1])
        with pytest.raises(WrongObjectTypeError, match="'waypoint0' is a dummy, not a shape"):
            Shape("waypoint0")
        with pytest.raises(SceneError, match="no shape named 'cup'"):
            Shape("cup")
        with pytest.raises(ImportError, match="cannot import name 'Nonsense'"):
            from pyrep.objects import Nonsense  # noqa: F401
    finally:
        for name in [n for n in sys.modules if n.partition(".")[0] == "pyrep"]:
            del sys.modules[name]
        sys.modules.update({n: m for n, m in before.items() if n.partition(".")[0] == "pyrep"})


def test_what_init_task_moves_stays_moved(tmp_path, launch):
    text = REACH.replace(
        "        self.area =",
        "        self.others[0].set_position([0.1, 0.2, 1.3])\n        self.area =",
    ).replace("[self.ball] + self.others", "[self.ball]")
    write_task(tmp_path, "reach_target", text, "reach_target")
    task = launch(tmp_path).get_task("reach_target")
    for _ in range(2):
        task.reset()
        position = task.scene.engine.shape("distractor0").get_position()
        assert np.allclose(position, [0.1, 0.2, 1.3])


def test_what_one_episode_collects_is_not_the_next_ones(tmp_path, launch):
    # A task file may append in every episode to what `init_task` made.
    counting = REACH.replace(
        "        self.ball = Shape('target')\n",
        "        self.ball = Shape('target')\n        self.seen = [[]]\n        self.alias ="
        " self.seen[0]\n",
    ).replace(
        "        name, rgb = colors[index]\n",
        "        self.seen[0].append(index)\n        assert self.alias == [index], self.alias\n"
        "        self.more = getattr(self, 'more', 0) + 1\n        assert self.more == 1\n"
        "        name, rgb = colors[index]\n",
    )
    write_task(tmp_path, "reach_target", counting)
    task = launch(tmp_path).get_task("reach_target")
    for variation in (0, 3, 3):
        task.set_variation(variation)
        task.get_demo(0, 0)


def test_abilities_can_leave_a_waypoint_out(tmp_path, launch):
    text = (
        LIFT.replace("self._note)", "self._skip)")
        + "\n    def _skip(self, waypoint):\n        waypoint.skip = True\n"
    )
    write_task(tmp_path, "pick_and_lift", text, "pick_and_lift")
    task = launch(tmp_path).get_task("pick_and_lift")
    demo = task.get_demo(0, 0)
    assert len(demo.waypoint_frames) == len(task.waypoint_names) - 1


@pytest.mark.parametrize(("stop", "left"), [(2, 2), (-1, None)])
def test_a_demonstration_stops_before_a_waypoint(tmp_path, launch, stop, left):
    text = LIFT.replace(
        "        self.crumbs = []\n        self.noted",
        f"        self.register_stop_at_waypoint({stop})\n        self.crumbs = []\n       "
        " self.noted",
        1,
    )
    write_task(tmp_path, "pick_and_lift", text, "pick_and_lift")
    task = launch(tmp_path).get_task("pick_and_lift")
    waypoints = task.scene.task.get_waypoints()
    assert len(waypoints) == (left or len(task.waypoint_names))


def test_fail_conditions_end_an_episode(tmp_path, launch):
    text = REACH.replace(
        "        self.area =",
        "        self.register_fail_conditions([DetectedCondition(self.ball, "
        "ProximitySensor('success'))])\n        self.area =",
    )
    write_task(tmp_path, "reach_target", text, "reach_target")
    task = launch(tmp_path).get_task("reach_target")
    task.reset()
    assert task.scene.task.success() == (False, True)


# ---- which version ------------------------------------------------------------------------


def test_the_checkouts_version_is_preferred_and_built_in_ones_fill_in(checkout):
    catalogue = Catalogue(checkout)
    assert catalogue.origin("reach_target").source == "rlbench"
    assert catalogue.origin("close_fridge").source == "builtin"
    assert catalogue.names()[0] == "reach_target"
    assert Catalogue(checkout, "builtin").origin("reach_target").source == "builtin"
    only = Catalogue(checkout, "rlbench")
    assert only.names() == ["reach_target", "pick_and_lift"]
    with pytest.raises(
        TaskNotAvailableError, match=r"close_fridge\.py and .*close_fridge\.ttm not"
    ):
        only.origin("close_fridge")


def test_labels_tell_versions_apart(checkout):
    label = Catalogue(checkout).origin("reach_target").label
    assert label.startswith("rlbench:")
    file = checkout / "rlbench" / "tasks" / "reach_target.py"
    file.write_text(file.read_text() + "\n")
    assert Catalogue(checkout).origin("reach_target").label != label
    assert Catalogue().origin("reach_target").label == "builtin"


def test_the_environment_variables_count(checkout, monkeypatch):
    monkeypatch.setenv("RLBENCH_ROOT", str(checkout))
    assert Catalogue().origin("reach_target").source == "rlbench"
    monkeypatch.setenv("RLBENCH_TASKS_FROM", "builtin")
    assert Catalogue().origin("reach_target").source == "builtin"
    monkeypatch.setenv("RLBENCH_TASKS_FROM", "mine")
    with pytest.raises(TaskNotAvailableError, match="RLBENCH_TASKS_FROM='mine' is unknown"):
        Catalogue()


def test_without_a_checkout_nothing_changes():
    assert Catalogue().checkout is None
    assert get_task_class("reach_target").__module__ == "rlbench.tasks.reach_target"
    with pytest.raises(TaskNotAvailableError, match="no checkout is given; set RLBENCH_ROOT"):
        Catalogue(tasks_from="rlbench")


def test_a_task_outside_of_the_set_runs_and_has_an_id(tmp_path, launch):
    text = REACH.replace("class ReachTarget", "class PokeBall")
    write_task(tmp_path, "poke_ball", text, "reach_target")
    scene = tmp_path / "rlbench" / "task_ttms" / "poke_ball.xml"
    content = scene.read_text().replace('"reach_target"', '"poke_ball"')
    scene.write_text(content.replace("parent:reach_target", "parent:poke_ball"))
    assert task_id("poke_ball") == task_id("poke_ball") > len(TASK_NAMES)
    env = launch(tmp_path)
    assert "poke_ball" in env.catalogue.names()
    demo = env.get_task("poke_ball").get_demo(0, 0)
    assert demo.random_seed[1] == task_id("poke_ball")


# ---- bad input ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path, "is no folder"),
        (lambda path: path.mkdir() or path, "has no rlbench/task_ttms"),
    ],
)
def test_a_root_that_is_no_checkout_is_one_line(tmp_path, make, message):
    with pytest.raises(TaskNotAvailableError, match=message) as error:
        Environment(rlbench_root=make(tmp_path / "x"))
    assert "\n" not in str(error.value)


def test_a_missing_scene_is_named(tmp_path):
    write_checkout(tmp_path)
    write_task(tmp_path, "open_box", REACH)
    with pytest.raises(TaskNotAvailableError, match=r"'open_box' .*open_box\.ttm not found"):
        Catalogue(tmp_path).origin("open_box")


BROKEN = [
    ("import sys\nsys.exit('bye')\n", 2, "loading it: SystemExit: bye"),
    (
        REACH.replace("return len(colors)", "raise SystemExit"),
        33,
        "variation_count: SystemExit: no",
    ),
    ("import nonsense_package\n", 1, "loading it: ModuleNotFoundError: No module named"),
    ("def f(:\n", 1, "loading it: SyntaxError"),
    (REACH.replace("'target'", "'tarjet'"), 16, "init_task: .*no shape named 'tarjet'"),
    (REACH.replace("'success'", "'target'"), 20, "init_task: object 'target' is a shape, not a"),
    (REACH.replace("colors[index]", "colors[index]['x']"), 23, "init_episode: TypeError: tuple"),
    (REACH.replace("return len(colors)", "return 1 / 0"), 33, "variation_count: ZeroDivisionError"),
]


@pytest.mark.parametrize(("text", "line", "message"), BROKEN)
def test_a_broken_task_file_is_one_line_with_its_place(tmp_path, launch, text, line, message):
    file = write_task(tmp_path, "reach_target", text, "reach_target")

    def run():
        task = launch(tmp_path).get_task("reach_target")
        task.variation_count()
        task.reset()

    with pytest.raises(TaskFileError, match=message) as error:
        run()
    assert str(error.value).startswith(f"{file}:{line}: task reach_target, ")
    assert "\n" not in str(error.value)


def test_a_file_without_its_class_is_named(tmp_path):
    write_task(tmp_path, "reach_target", "x = 1\n", "reach_target")
    with pytest.raises(TaskFileError, match="a class ReachTarget derived from .* found none"):
        get_task_class("reach_target", tmp_path)


@pytest.mark.parametrize("kind", ["RuntimeError", "SystemExit"])
def test_what_fails_within_a_demonstration_spoils_that_one_only(tmp_path, launch, kind):
    text = REACH + f"\n    def step(self):\n        raise {kind}('should not be here')\n"
    file = write_task(tmp_path, "reach_target", text, "reach_target")
    task = launch(tmp_path).get_task("reach_target")
    with pytest.raises(DemoError, match=f"step: {kind}: should not be here") as error:
        task.get_demo(0, 0)
    assert error.value.cause == f"step_raised_{kind}"
    assert str(file) in str(error.value)


def test_names_are_checked_all_at_once(tmp_path, capsys):
    write_checkout(tmp_path)
    assert check_names(["all", "--rlbench_root", str(tmp_path)]) == 0
    assert "2 of 2 tasks find every object" in capsys.readouterr().out
    wrong = REACH.replace("'target'", "'tarjet'").replace("Shape('boundary')", "Dummy('boundary')")
    write_task(tmp_path, "reach_target", wrong, "reach_target")
    assert check_names(["0", "--rlbench_root", str(tmp_path)]) == 1
    line = capsys.readouterr().out
    assert "missing shape tarjet" in line
    assert "wrong boundary (asked for as dummy, is shape)" in line
    assert check_names(["0", "--rlbench_root", str(tmp_path / "no")]) == 2


# ---- CoppeliaSim --------------------------------------------------------------------------


def test_on_coppeliasim_task_files_get_pyreps_own_objects(tmp_path, monkeypatch):
    fake_pyrep.install(monkeypatch, tmp_path)
    text = REACH
    for module in ("shape", "proximity_sensor"):
        text = text.replace(f"from pyrep.objects.{module} import", "from pyrep.objects import")
    text += "\n    def boundary_root(self):\n        return self.area\n"
    write_task(tmp_path / "upstream", "reach_target", text)
    env = Environment(engine="coppeliasim")
    env.launch()
    try:
        task = env.get_task("reach_target")
        task.reset()
        inner, engine = task.scene.task, task.scene.engine
        assert type(inner.ball).__module__ == "tests.contract.fake_objects"
        assert inner.boundary_root() is engine.shape("boundary")
        positions = [obj.get_position() for obj in (inner.ball, *inner.others)]
        gaps = [np.linalg.norm(a - b) for a, b in itertools.combinations(positions, 2)]
        assert min(gaps) > 0.2
    finally:
        env.shutdown()


# ---- a real checkout ----------------------------------------------------------------------

ROOT = os.environ.get("RLBENCH_ROOT", "")
needs_checkout = pytest.mark.skipif(
    not (Path(ROOT) / "rlbench" / "tasks").is_dir() or not ROOT,
    reason="RLBENCH_ROOT names no checkout of RLBench",
)


@needs_checkout
def test_every_task_of_the_checkout_finds_its_objects(capsys):
    assert check_names(["all", "--rlbench_root", ROOT, "--variations", "1"]) == 0


@needs_checkout
@pytest.mark.parametrize(
    "name", ["reach_target", "push_buttons", "stack_blocks", "open_drawer", "close_jar"]
)
def test_tasks_of_the_checkout_demonstrate(launch, name):
    task = launch(ROOT).get_task(name)
    assert len(task.get_demos(1, max_attempts=5)[0]) > 10
