"""What was exported to LeRobot comes back as an archive."""

import numpy as np
import pytest

from data_generation.RLBench.raw.episode_key import EpisodeKey
from pose_obj_3d.formal import read_formal

pytest.importorskip("pyarrow", reason="pyarrow is an optional package")
# It triangulates, so it needs PyTorch, which some of the tests' environments leave out.
pytest.importorskip("torch", reason="PyTorch is not installed")
import_lerobot = pytest.importorskip("pose_obj_3d.import_lerobot")


@pytest.mark.parametrize("images", ["png", "none"])
def test_exported_keypoints_come_back(export, store, tmp_path, images):
    argv = (store.root, "--to", "lerobot", "--images", images, "--tasks", 0)
    assert export(*argv, "--output", tmp_path / "out")[0] == 0
    output = tmp_path / "archive.npz"
    assert import_lerobot.main([str(tmp_path / "out"), "--output", str(output)]) == 0
    archive = read_formal(output)
    assert archive.task_name(0) == "task_0"
    assert archive.camera_names == ["front", "overhead"]
    assert archive.image_size == (16, 12)
    for n, key in enumerate([EpisodeKey(0, 0, 0), EpisodeKey(0, 1, 1), EpisodeKey(0, 2, 0)]):
        tracks = store.read_tracks(key)
        found = archive.tracks[0][n]
        np.testing.assert_allclose(found[0, ..., 4:7], tracks.xyz, atol=1e-6)
        np.testing.assert_array_equal(found[..., 7], tracks.visibility)
        np.testing.assert_allclose(found[..., 2:4], found[..., 0:2], atol=1e-3)
    np.testing.assert_allclose(archive.extrinsics, tracks.extrinsics, atol=1e-6)
