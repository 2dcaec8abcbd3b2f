"""The ensemble Kalman smoother of another package: it smooths; without it one line says so."""

import pytest
import torch

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.evaluation import ensemble_kalman
from pose_obj_3d.formal import read_formal
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from tests.unit.pose_obj_3d.synthetic import write_scene


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    path = write_scene(tmp_path_factory.mktemp("eks") / "a.npz", examples=10, frames=30)
    data = read_formal(path)
    rig = make_rig(data)
    return load_tracks(data, rig, [0], "test", keypoint_ids(data, [0], ("waypoints",))), rig


def test_without_the_package_one_line_says_what_to_do(loaded, monkeypatch):
    monkeypatch.setattr(ensemble_kalman, "is_installed", lambda: False)
    with pytest.raises(DataError, match=r"pip install -e '\.\[references\]'") as caught:
        ensemble_kalman.ensemble_kalman(*loaded)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.skipif(
    not ensemble_kalman.is_installed(),
    reason="ensemble-kalman-smoother is not installed: pip install -e '.[references]'",
)
def test_it_smooths_whole_examples(loaded):
    tracks, rig = loaded
    tracks.weights[5:9] = 0  # a gap in the first example
    found = ensemble_kalman.ensemble_kalman(tracks, rig)
    assert found.xyz.isfinite().all()
    single, smoothed = ((x - tracks.truth).norm(dim=-1) for x in (tracks.xyz, found.xyz))
    still = smoothed[:, 1]  # the second waypoint rests
    assert still.mean() < 0.5 * single[:, 1].mean()
    assert smoothed.mean() < single.mean()
    variances = found.covariance.diagonal(dim1=-2, dim2=-1)
    assert (variances > 0).all()
    square = ((found.xyz - tracks.truth).square() / variances).sum(-1)
    assert (square < 7.8).float().mean() > 0.7
    assert torch.equal(found.covariance, torch.diag_embed(variances))
