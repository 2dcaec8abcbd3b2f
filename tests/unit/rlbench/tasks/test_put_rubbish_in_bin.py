"""put_rubbish_in_bin: who stands where, what counts as thrown away, and what stays at rest."""

import numpy as np
import pytest

from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tasks import get_task_class
from rlbench.tools.art import make_put_rubbish_in_bin_meshes as meshes
from rlbench.tools.art.obj_files import MESHES

NAME = "put_rubbish_in_bin"
SHAPES = ("rubbish", "tomato1", "tomato2")


@pytest.fixture(scope="module")
def loaded():
    env = Environment(obs_config=ObservationConfig(keypoints=("waypoints", "boxes")))
    env.launch()
    return env.get_task(get_task_class(NAME))


@pytest.fixture
def scene(loaded):
    """The scene as it was saved."""
    loaded.scene.engine.reset()
    return loaded.scene


def positions(engine):
    return {name: engine.shape(name).get_position() for name in SHAPES}


def test_meshes_are_what_the_script_writes(tmp_path):
    for path in meshes.write(tmp_path):
        committed = (MESHES / path.name).read_bytes()
        assert path.read_bytes() == committed, f"{path.name}: run the script again"
        assert len(committed) < 60_000
        assert committed.count(b"\nf ") < 1500


@pytest.mark.parametrize("part", ["basket", "paper", "tomato", "calyx"])
def test_meshes_face_outwards(part):
    vertices, faces = getattr(meshes, part)()
    a, b, c = np.moveaxis(vertices[faces], 1, 0)
    assert np.einsum("ij,ij->", a, np.cross(b, c)) > 0


def test_rubbish_stays_or_changes_places_equally_often(scene):
    saved = positions(scene.engine)
    counts = dict.fromkeys(SHAPES, 0)
    for seed in range(300):
        scene.engine.reset()
        scene.task.rng.bit_generator.state = np.random.default_rng(seed).bit_generator.state
        scene.task.init_episode(0)
        now = positions(scene.engine)
        (place,) = (n for n in SHAPES if np.allclose(now["rubbish"][:2], saved[n][:2]))
        counts[place] += 1
        expected = {name: saved[name][:2] for name in SHAPES}
        expected["rubbish"], expected[place] = expected[place], expected["rubbish"]
        for name in SHAPES:
            np.testing.assert_allclose(now[name][:2], expected[name])
            assert now[name][2] == pytest.approx(saved[name][2])
    assert min(counts.values()) > 75  # 100 expected, standard deviation 8


def test_waypoints_and_drawn_parts_follow_the_swap(scene):
    engine = scene.engine
    followers = {"rubbish": ("rubbish_visual", "waypoint0"), "tomato1": ("tomato1_visual",)}
    before = {
        name: engine.object(name).get_position(engine.shape(owner))
        for owner, names in followers.items()
        for name in names
    }
    while np.allclose(engine.shape("tomato1").get_position()[:2], (0.37085, 0.252)):
        scene.task.init_episode(0)
    for owner, names in followers.items():
        for name in names:
            now = engine.object(name).get_position(engine.shape(owner))
            np.testing.assert_allclose(now, before[name], atol=1e-9)


def test_only_the_bottom_of_the_bin_counts(scene):
    rubbish, inside = scene.engine.shape("rubbish"), scene.engine.sensor("success")
    floor = inside.get_position() + np.array([0, 0, 0.02])
    assert not scene.task.success()[0]
    for offset, expected in (
        ((0, 0, 0), True),
        ((0, 0, 0.15), False),  # at the rim
        ((0.16, 0, 0), False),  # on the table beside the bin
        ((0, 0.16, 0), False),
    ):
        rubbish.set_position(floor + np.array(offset))
        assert scene.task.success()[0] is expected, offset


def test_a_tomato_in_the_bin_is_no_success(scene):
    tomato = scene.engine.shape("tomato1")
    floor = scene.engine.sensor("success").get_position()
    tomato.set_position(floor + np.array([0, 0, 0.03]))
    assert not scene.task.success()[0]


def test_everything_rests_at_the_start(scene):
    rubbish = scene.engine.shape("rubbish")
    for _ in range(10):
        scene.engine.step()
    settled = rubbish.box_corners()
    start = scene.engine.data.qpos.copy()
    assert abs(start[-7:-4] - scene.engine.model.qpos0[-7:-4]).max() < 1e-3
    for _ in range(40):
        scene.engine.step()
    assert np.abs(rubbish.box_corners() - settled).max() < 1e-4


@pytest.mark.parametrize("seed", range(12))
def test_what_falls_into_the_bin_stays_there(scene, seed):
    engine, rng = scene.engine, np.random.default_rng(seed)
    rubbish, bin_ = engine.shape("rubbish"), engine.shape("bin")
    rubbish.rotate((rng.uniform(-np.pi, np.pi), 0, 0))
    above = engine.dummy("waypoint3").get_position()
    rubbish.set_position(above + np.array([*rng.uniform(-0.03, 0.03, 2), 0]))
    for _ in range(60):
        engine.step()
    settled = rubbish.get_position(bin_)
    assert scene.task.success()[0]
    assert -0.0952 < settled[0] < 0  # x of the bin's frame is up
    for _ in range(40):
        engine.step()
    assert np.linalg.norm(rubbish.get_position(bin_) - settled) < 1e-3


def test_rubbish_is_not_pushed_and_does_not_slip(loaded):
    for seed in range(3):
        demo = loaded.get_demo(seed, 0)
        corners = [i for i, n in enumerate(demo.keypoint_names) if n.startswith("boxes/rubbish/")]
        assert len(corners) == 8
        _, grasp, _, drop = demo.waypoint_frames
        world = np.array([obs.keypoints[corners] for obs in demo])
        # Fingers close on faces square to them: 15 frames later it still lies where it lay.
        assert np.abs(world[: grasp + 15] - world[0]).max() < 1e-3
        held = np.array(
            [
                (obs.keypoints[corners] - obs.gripper_matrix[:3, 3]) @ obs.gripper_matrix[:3, :3]
                for obs in demo[grasp + 15 : drop + 1]
            ]
        )
        assert len(held) > 10
        assert np.linalg.norm(held - held[0], axis=-1).max() < 5e-4
