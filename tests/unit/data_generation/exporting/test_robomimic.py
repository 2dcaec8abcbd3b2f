"""robomimic's layout, read with h5py."""

import json

import numpy as np
import pytest

h5py = pytest.importorskip("h5py", reason="h5py is an optional package")


@pytest.fixture
def file(export, store, tmp_path):
    code, _ = export(store.root, "--to", "robomimic", "--depth", "--output", tmp_path / "out")
    assert code == 0
    with h5py.File(tmp_path / "out" / "task_0.hdf5", "r", libver="latest", swmr=True) as file:
        yield file


def test_demonstrations(file, store):
    keys = store.episodes(0)
    lengths = [store.read_record(key)["n_frames"] for key in keys]
    assert file["data"].attrs["total"] == sum(lengths)
    assert set(json.loads(file["data"].attrs["env_args"])) == {"env_name", "type", "env_kwargs"}
    for n, key in enumerate(keys):
        demo = file[f"data/demo_{n}"]
        assert demo.attrs["num_samples"] == lengths[n]
        np.testing.assert_array_equal(
            demo["actions"], store.read_array(key, "actions/abs_joint_position")
        )
        assert demo["dones"][()].tolist() == [0] * (lengths[n] - 1) + [1]
        tracks = store.read_tracks(key)
        flat = tracks.xyz.reshape(lengths[n], -1)
        np.testing.assert_allclose(demo["obs/keypoints_xyz"], flat, atol=1e-6)
        for t in range(lengths[n]):
            image = demo["obs/wrist_image"][t]
            np.testing.assert_array_equal(image, store.read_rgb(key, "wrist", t))
            depth = demo["obs/front_depth"][t, :, :, 0]
            np.testing.assert_array_equal(depth, store.read_depth(key, "front", t))


def test_next_observations_are_those_of_the_next_frame(file):
    demo = file["data/demo_1"]
    assert set(demo["obs"]) == set(demo["next_obs"])
    for name, values in demo["obs"].items():
        following = demo[f"next_obs/{name}"][()]
        np.testing.assert_array_equal(following[:-1], values[1:])
        np.testing.assert_array_equal(following[-1], values[-1])


def test_no_object_holds_the_time_when_it_was_made(file):
    times = []
    file.visititems(lambda _, found: times.append(h5py.h5o.get_info(found.id).mtime))
    assert times
    assert not any(times)


def test_filter_keys(file):
    found = {name: [n.decode() for n in numbers] for name, numbers in file["mask"].items()}
    assert found == {"train": ["demo_0"], "valid": ["demo_1"], "test": ["demo_2"]}
