"""From pictures to errors in mm: train two tiny detectors, detect, lift what they found."""

import numpy as np
import pytest

from pose_obj_3d import detect, triangulate
from pose_obj_3d.detector import training_command
from pose_obj_3d.formal import read_formal
from tests.unit.pose_obj_3d.detector.pictured import TASK, Pictured, write_pictured

pytestmark = pytest.mark.slow

CONFIG = """
DATA:
  ARCHIVE: {archive}
  TASK: 9
  FOLDS: 2
  HELD_OUT: 0.3
NETWORK:
  WIDTH: 8
  DEPTH: 1
TRAIN:
  STEPS: 80
  BATCH_SIZE: 8
  LEARNING_RATE: 0.01
  AUTOCAST: 'off'
TEST:
  DEMOS: 1
"""


def test_from_pictures_to_points(tmp_path):
    archive = write_pictured(tmp_path, Pictured(examples=10, frames=4))
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG.format(archive=archive))
    assert training_command.main(["--cfg", str(config), "--log", str(tmp_path)]) == 0
    checkpoints = sorted(tmp_path.glob("checkpoint/detector/tiny_*/fold_*/best.pt"))
    assert len(checkpoints) == 2
    out = tmp_path / "detected.npz"
    flags = ["--archive", str(archive), "--out", str(out)]
    assert detect.main([*flags, "--checkpoint", *map(str, checkpoints)]) == 0
    data = read_formal(out)
    assert set(data.meta["detections"]["folds"][f"T{TASK}"]) == set(map(str, range(10)))
    x = np.concatenate(data.detections[TASK], 1)
    track = np.concatenate(data.tracks[TASK], 1)
    error = np.linalg.norm(x[..., :2] - track[..., :2], axis=-1)
    is_inside = track[..., 7] > 0
    assert np.isfinite(x[is_inside]).all()
    middle = np.linalg.norm(track[..., :2] - 32, axis=-1)
    assert np.median(error[is_inside]) < 0.5 * np.median(middle[is_inside])
    ranks = np.argsort(np.argsort(x[is_inside][:, 2:4].mean(-1)))
    low = error[is_inside][ranks < len(ranks) / 2]
    high = error[is_inside][ranks >= len(ranks) / 2]
    assert np.median(low) < np.median(high)  # claims rank
    found = triangulate(x[..., :2], data.intrinsics, data.extrinsics)
    assert np.isfinite(found.points).all()
