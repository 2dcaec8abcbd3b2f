"""RLBench's layout, read as RLBench reads it."""

import pickletools

import numpy as np
import pytest

from rlbench.observation_config import ObservationConfig
from rlbench.stored_demos import get_stored_demos


@pytest.fixture
def root(export, store, tmp_path):
    code, said = export(store.root, "--to", "rlbench", "--output", tmp_path / "out")
    assert code == 0
    assert "left_shoulder, right_shoulder, overhead" in said  # their images are black
    return tmp_path / "out"


def config(size=(16, 12)):
    config = ObservationConfig()
    config.set_all(True)
    for camera in config.cameras.values():
        camera.image_size = size
        camera.depth_in_meters = True
    return config


def test_demonstrations_come_back(root, store):
    demos = get_stored_demos(-1, False, root, 0, "task_0", config(), random_selection=False)
    keys = [key for key in store.episodes(0) if key.variation == 0]
    assert len(demos) == len(keys) == 2
    for key, demo in zip(keys, demos, strict=True):
        record = store.read_record(key)
        joints = store.read_robot_state(key, record)["joint_positions"]
        states = store.read_array(key, "ee_state")
        assert len(demo) == record["n_frames"]
        assert demo.random_seed == [int(number) for number in record["random_seed"]]
        assert demo.descriptions == record["descriptions"]
        for t, moment in enumerate(demo):
            np.testing.assert_array_equal(moment.joint_positions, joints[t])
            np.testing.assert_array_equal(moment.gripper_pose, states[t, :7])
            assert moment.joint_forces is None
            np.testing.assert_array_equal(moment.wrist_rgb, store.read_rgb(key, "wrist", t))
            np.testing.assert_array_equal(moment.front_mask, store.read_ids(key, "front", t))
            depth = store.read_depth(key, "front", t)
            np.testing.assert_allclose(moment.front_depth, depth, atol=1e-5)
            assert not moment.overhead_rgb.any()
            assert moment.misc["variation_index"] == 0


def test_point_clouds_lie_where_the_camera_sees_them(root, store):
    demo = get_stored_demos(1, False, root, 1, "task_0", config(), random_selection=False)[0]
    key = next(key for key in store.episodes(0) if key.variation == 1)
    camera = store.read_record(key)["cameras"]["wrist"]
    E = np.array(camera["extrinsics"][2])
    points = demo[2].wrist_point_cloud.reshape(-1, 3) @ E[:, :3].T + E[:, 3]
    np.testing.assert_allclose(points[:, 2], store.read_depth(key, "wrist", 2).ravel(), atol=1e-4)


def test_classes_are_those_of_rlbench_and_of_any_numpy(root):
    folder = root / "task_0" / "variation0"
    data = (folder / "episodes" / "episode0" / "low_dim_obs.pkl").read_bytes()
    names = {text for op, text, _ in pickletools.genops(data) if op.name == "GLOBAL"}
    assert {"rlbench.demo Demo", "rlbench.backend.observation Observation"} <= names
    assert "numpy.core.multiarray _reconstruct" in names
    assert not any("_core" in str(text) for _, text, _ in pickletools.genops(data))
    sentences = list(pickletools.genops((folder / "variation_descriptions.pkl").read_bytes()))
    texts = [text for op, text, _ in sentences if op.name.endswith("UNICODE")]
    assert texts == ["do 0 with 0", "do it"]
    assert not any("GLOBAL" in op.name for op, _, _ in sentences)


def test_peracts_fork_has_all_variations_together(export, store, tmp_path):
    code, said = export(store.root, "--to", "peract", "--output", tmp_path / "out")
    assert code == 0
    assert "ignore_collisions is 1" in said
    assert sorted(p.name for p in (tmp_path / "out" / "task_0").iterdir()) == ["all_variations"]
    demos = get_stored_demos(-1, False, tmp_path / "out", -1, "task_0", config((16, 12)))
    keys = store.episodes(0)
    assert sorted(d.variation for d in demos) == sorted(key.variation for key in keys)
    for demo in demos:
        assert demo.descriptions == [f"do 0 with {demo.variation}", "do it"]
        assert {moment.ignore_collisions for moment in demo} == {1.0}
