"""Demonstrations in RLBench's own format: written here, read back, and damaged."""

import os
import pickle
import resource
import struct
import time
from pathlib import Path

import numpy as np
import pytest

from rlbench.backend import const, exceptions
from rlbench.backend.observation import Observation
from rlbench.demo import Demo
from rlbench.environment import Environment
from rlbench.observation_config import CameraConfig, ObservationConfig
from rlbench.stored_demos import stored_pickle
from rlbench.utils import get_stored_demos
from tests.unit.rlbench.stored_demos.upstream_files import (
    FAR,
    HEIGHT,
    NEAR,
    READINGS,
    STATE,
    WIDTH,
    depth_share,
    dumped,
    upstream_demo,
    write_episode,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Twelve episodes of one variation."""
    folder = tmp_path_factory.mktemp("stored")
    for number in range(12):
        whole, classes = upstream_demo()
        for obs in whole._observations:
            obs.task_low_dim_state = np.full(2, float(number))
        write_episode(
            folder / "reach_target" / "variation2" / "episodes" / f"episode{number}",
            dumped(whole, classes, protocol=number % 5),
        )
    return folder


def config(**settings):
    camera = CameraConfig(image_size=(WIDTH, HEIGHT), **settings)
    return ObservationConfig(front_camera=camera, track_cams=(), keypoints=())


def read(root, amount=1, obs_config=None, paths=False, **settings):
    given = {"random_selection": False, **settings}
    return get_stored_demos(amount, paths, root, 2, "reach_target", obs_config or config(), **given)


def test_readings_are_what_was_stored(root):
    demo = read(root)[0]
    assert isinstance(demo, Demo)
    assert isinstance(demo[0], Observation)
    assert (len(demo), demo.task_name, demo.variation, demo.num_reset_attempts) == (
        3,
        "reach_target",
        2,
        2,
    )
    for i, obs in enumerate(demo):
        assert np.array_equal(obs.joint_positions, READINGS["joint_positions"] + i)
        assert obs.gripper_open == 1.0
        assert np.array_equal(obs.joint_forces, np.arange(7))
        assert obs.joint_forces.dtype == np.float64
        assert np.array_equal(obs.gripper_matrix, READINGS["gripper_matrix"])
        assert obs.misc["variation_index"] == 2
        assert np.array_equal(obs.misc["joint_poses"][3], np.arange(7))
        assert obs.get_low_dim_data().shape == (1 + 21 + 7 + 2 + 6 + 2,)
    assert demo.random_seed[0] == "MT19937"
    assert np.array_equal(demo.random_seed[1], STATE[1])
    with pytest.raises(exceptions.TaskEnvironmentError, match="made by another simulator"):
        demo.restore_state()


@pytest.mark.parametrize("number", range(5))
def test_every_protocol_of_pickles_is_read(root, number):
    demo = read(root, from_episode_number=number)[0]
    assert np.array_equal(demo[0].task_low_dim_state, [number, number])


def test_images_are_what_was_stored(root):
    obs = read(root)[0][1]
    assert obs.front_rgb.dtype == np.uint8
    assert (obs.front_rgb == 40).all()
    assert obs.front_rgb.shape == (HEIGHT, WIDTH, 3)
    assert np.allclose(obs.front_depth, depth_share(1), atol=1e-6)
    assert (obs.front_mask[: HEIGHT // 2] == 300).all()
    assert (obs.front_mask[HEIGHT // 2 :] == 0).all()
    assert obs.wrist_rgb is None
    metres = read(root, obs_config=config(depth_in_meters=True))[0][1]
    depth = NEAR + depth_share(1) * (FAR - NEAR)
    assert np.allclose(metres.front_depth, depth, atol=1e-5)
    x, y = (np.arange(WIDTH) + 0.5 - WIDTH / 2) / 20, (np.arange(HEIGHT) + 0.5 - HEIGHT / 2) / 20
    assert np.allclose(obs.front_point_cloud[..., 2], depth, atol=1e-5)
    assert np.allclose(obs.front_point_cloud[..., 0], x * depth + 0.5, atol=1e-5)
    assert np.allclose(obs.front_point_cloud[..., 1], y[:, None] * depth, atol=1e-5)
    coded = read(root, obs_config=config(masks_as_one_channel=False))[0][1].front_mask
    assert np.allclose(coded[0, 0], [44 / 255, 1 / 255, 0])


def test_images_of_another_size_are_resized_with_their_calibration(root):
    small = ObservationConfig(front_camera=CameraConfig(image_size=(WIDTH // 2, HEIGHT // 2)))
    obs, whole = read(root, obs_config=small)[0][0], read(root)[0][0]
    assert obs.front_rgb.shape == (HEIGHT // 2, WIDTH // 2, 3)
    assert set(np.unique(obs.front_mask)) == {0, 300}  # no handles between handles
    assert np.isin(obs.front_depth, whole.front_depth).all()
    depth = NEAR + obs.front_depth * (FAR - NEAR)
    x = (np.arange(WIDTH // 2) + 0.5 - WIDTH / 4) / (20 / 2)
    assert np.allclose(obs.front_point_cloud[..., 0], x * depth + 0.5, atol=1e-5)


def test_paths_and_readings_that_are_left_out(root):
    given = config()
    given.joint_velocities = given.gripper_open = False
    obs = read(root, obs_config=given, paths=True)[0][2]
    assert Path(obs.front_rgb).name == "2.png"
    assert Path(obs.front_depth).parent.name == "front_depth"
    assert Path(obs.front_mask).is_file()
    assert obs.front_point_cloud is None
    assert obs.joint_velocities is None
    assert obs.gripper_open is None
    assert obs.joint_forces is not None


def test_order_and_number_of_episodes(root):
    def numbers(*args, **settings):
        demos = read(root, *args, obs_config=ObservationConfig(), **settings)
        return [int(demo[0].task_low_dim_state[0]) for demo in demos]

    assert numbers(-1) == list(range(12))
    assert numbers(2, from_episode_number=9) == [9, 10]
    assert numbers(-1, from_episode_number=10) == [10, 11]
    before = np.random.get_state()  # noqa: NPY002 - RLBench's choice
    try:
        np.random.seed(0)  # noqa: NPY002
        drawn = numbers(5, random_selection=True)
        mine = np.random.rand()  # noqa: NPY002
        np.random.seed(0)  # noqa: NPY002
        assert np.random.rand() == mine  # noqa: NPY002 - nothing was drawn from it
        np.random.seed(0)  # noqa: NPY002
        assert numbers(5, random_selection=True) == drawn
    finally:
        np.random.set_state(before)  # noqa: NPY002
    assert len(set(drawn)) == 5
    for args, settings in (
        ((13,), {}),
        ((3,), {"from_episode_number": 10}),
        ((1,), {"from_episode_number": -1}),
    ):
        with pytest.raises(RuntimeError, match=r"were asked for, .*episodes has 12"):
            numbers(*args, **settings)
    with pytest.raises(RuntimeError, match="there is no folder .*variation3"):
        get_stored_demos(1, False, root, 3, "reach_target", config())


def test_environments_read_them(root):
    env = Environment(dataset_root=str(root), obs_config=config())
    demos = env.get_demos("reach_target", 2, variation_number=2, image_paths=True)
    assert len(demos) == 2
    task = env.get_task("reach_target")
    task.set_variation(2)
    assert len(task.get_demos(-1, image_paths=True)) == 12  # where they are stored they are read
    assert isinstance(task.get_demos(1, live_demos=False)[0][0].front_rgb, np.ndarray)
    live = task.get_demos(1, live_demos=True)[0]
    assert live.starts_here
    env.shutdown()


def test_what_is_stored_here_is_read_here(tmp_path, root):
    env = Environment(obs_config=ObservationConfig())
    task = env.get_task("reach_target")
    demo = task.get_demos(1, live_demos=True)[0]
    folder = tmp_path / "reach_target" / "variation2" / "episodes" / "episode0"
    write_episode(folder, pickle.dumps(demo))
    again = read(tmp_path, obs_config=ObservationConfig())[0]
    assert len(again) == len(demo)
    assert again.random_seed == demo.random_seed
    assert again.keypoint_names == demo.keypoint_names
    assert np.array_equal(again[4].keypoints, demo[4].keypoints)
    action = "joint_position_action"
    assert np.array_equal(again[4].misc[action], demo[4].misc[action])
    _, obs = task.reset_to_demo(again)
    assert np.array_equal(obs.task_low_dim_state, demo[0].task_low_dim_state)
    env.shutdown()


class Opens:
    """Would write a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


class _OddArray:
    """An array as NumPy pickles it, with any content."""

    def __init__(self, shape, raw, kind):
        self.parts = shape, raw, kind

    def __reduce__(self):
        shape, raw, kind = self.parts
        return np.ndarray, ((0,),), (1, shape, kind, False, raw)


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def cyclic():
    value = []
    value.append(value)
    return value


def shared(depth):
    """Return a list of ten times one list of ten times ..., which a pickle stores in few bytes."""
    value = [0]
    for _ in range(depth):
        value = [value] * 10
    return value


@pytest.mark.parametrize(
    ("readings", "why"),
    [
        (
            {"joint_positions": _OddArray((10**12,), b"12345678", np.dtype("f8"))},
            "an array of shape",
        ),
        ({"joint_positions": _OddArray((-1,), b"12345678", np.dtype("f8"))}, "shape of an array"),
        ({"joint_positions": _OddArray((1,), b"12345678", np.dtype("O"))}, "arrays of type 'O"),
        ({"joint_positions": _OddArray((1,), "x" * 8, np.dtype("f8"))}, "an array is damaged"),
        ({"joint_positions": np.array(["a"])}, "arrays of type 'U1' are not read"),
        ({"joint_positions": {"a": 1}}, "not 'dict'"),
        ({"joint_positions": np.array([np.nan])}, "joint_positions of an observation is damaged"),
        ({"gripper_open": np.ones(2)}, "gripper_open of an observation is damaged"),
        ({"misc": [1]}, "misc of an observation is no dictionary"),
        ({"misc": {"a": nested(100)}}, "too deep"),
        ({"misc": {"a": cyclic()}}, "too deep"),
        ({"misc": {"a": shared(12)}}, "more than 100000 values"),
        ({"misc": {"a": {1, 2}}}, "a set has no place in it"),
    ],
)
def test_odd_content_is_one_line(tmp_path, readings, why):
    whole, classes = upstream_demo()
    vars(whole._observations[1]).update(readings)
    refused(tmp_path, dumped(whole, classes), f"is no stored demonstration: .*{why}")


def refused(tmp_path, content, why):
    folder = tmp_path / "reach_target" / "variation2" / "episodes" / "episode0"
    if not folder.exists():
        write_episode(folder, b"")
    (folder / const.LOW_DIM_PICKLE).write_bytes(content)
    start = time.monotonic()
    with pytest.raises(exceptions.TaskEnvironmentError, match=why) as error:
        read(tmp_path)
    assert time.monotonic() - start < 10
    assert len(str(error.value)) < 500
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is no stored demonstration"),
        (b"\x80\x04N.", "it holds something else"),
        (b"\x80\x04].", "reach"),
        (pickle.dumps({"a": 1}), "it holds something else"),
        (pickle.dumps(Path("x")), "pathlib.* has no place in a demonstration"),
        (b"cos\nsystem\n(S'true'\ntR.", "os.system has no place in a demonstration"),
        (b"c__builtin__\neval\n(S'1'\ntR.", "builtin__.eval has no place"),
        (b"\x80\x04r\xff\xff\xff\x7f.", "is no stored demonstration"),
        (b"\x80\x04\x8e" + struct.pack("<Q", 2**40) + b"x.", "is no stored demonstration"),
        (b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.", "is no stored demonstration"),
        (b"(" * 100_000 + b".", "is no stored demonstration"),
        (b"crlbench.demo\nDemo\n)\x81K\x01b.", "no dictionary of names"),
        (b"crlbench.demo\nDemo\n)\x81}b.", "it has no observations"),
        (b"crlbench.demo\nDemo\n.", "it holds something else"),
        (b"cnumpy\ndtype\n(S'f8'\ntR.", "it holds something else"),
    ],
)
def test_odd_files_are_one_line(tmp_path, content, why):
    if (
        content == b"\x80\x04]."
    ):  # older versions stored a list of observations; one of none is read
        folder = tmp_path / "reach_target" / "variation2" / "episodes" / "episode0"
        write_episode(folder, content)
        assert len(read(tmp_path)[0]) == 0
    else:
        refused(tmp_path, content, why)


def test_nothing_in_a_file_is_run(tmp_path):
    mark = tmp_path / "mark"
    whole, classes = upstream_demo()
    whole._observations[0].misc["a"] = Opens(mark)
    refused(tmp_path, dumped(whole, classes), "open has no place in a demonstration")
    assert not mark.exists()


def test_mutated_files_are_read_or_refused(tmp_path):
    whole, classes = upstream_demo()
    content = dumped(whole, classes)
    rng = np.random.default_rng(0)
    folder = tmp_path / "reach_target" / "variation2" / "episodes" / "episode0"
    write_episode(folder, content)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    results, lines = [], []
    for _ in range(200):
        data = bytearray(content)
        for at in rng.integers(len(data), size=rng.integers(1, 8)):
            data[at] = rng.integers(256)
        if rng.random() < 0.2:
            del data[rng.integers(len(data)) :]
        (folder / const.LOW_DIM_PICKLE).write_bytes(bytes(data))
        try:
            results.append(len(read(tmp_path)[0]) >= 0)
        except exceptions.TaskEnvironmentError as error:
            lines.append(str(error))
            results.append(False)
    assert max(map(len, lines)) < 500
    assert 0 < sum(results) < 200
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 200_000  # [KiB]


def test_damaged_folders_are_one_line(tmp_path):
    whole, classes = upstream_demo()
    folder = tmp_path / "reach_target" / "variation2" / "episodes" / "episode0"
    write_episode(folder, dumped(whole, classes))
    image = folder / "front_depth" / "1.png"
    good = image.read_bytes()
    image.write_bytes(good[:40])
    obs = read(tmp_path)[0][1]
    for kind in ("depth", "point_cloud"):
        with pytest.raises(exceptions.TaskEnvironmentError, match=r"depth/1\.png is no image"):
            getattr(obs, f"front_{kind}")
    image.unlink()
    with pytest.raises(
        exceptions.TaskEnvironmentError, match=r"is damaged: front_depth/1\.png is missing"
    ):
        read(tmp_path)
    assert len(read(tmp_path, obs_config=config(depth=False, point_cloud=False))[0]) == 3
    image.write_bytes(good)
    for obs in whole._observations:
        del obs.misc["front_camera_near"]
    (folder / const.LOW_DIM_PICKLE).write_bytes(dumped(whole, classes))
    with pytest.raises(
        exceptions.TaskEnvironmentError, match="calibration front_camera_.* is missing"
    ):
        read(tmp_path)
    (folder / const.LOW_DIM_PICKLE).unlink()
    with pytest.raises(
        exceptions.TaskEnvironmentError, match="low_dim_obs.pkl cannot be read: No such"
    ):
        read(tmp_path)
    (folder / const.LOW_DIM_PICKLE).touch()
    os.truncate(folder / const.LOW_DIM_PICKLE, stored_pickle.LARGEST_FILE + 1)
    with pytest.raises(exceptions.TaskEnvironmentError, match="is larger than the"):
        read(tmp_path)
