"""What STC claims where errors last, but not long enough for a ground."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d.evaluation import metrics
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.tracks.triangulating_sets import estimate_frames_by_sets, without_strays
from pose_obj_3d.training.checkpoints import state
from tests.unit.pose_obj_3d.models.test_scene import SIGMA, lasting, load, network, scene


@pytest.fixture(scope="module")
def mild(tmp_path_factory):
    """Detections of which a third of the square error lasts, and what is known of that noise."""
    tracks, rig, ids = load(scene(tmp_path_factory.mktemp("mild"), False))
    exact = geometry.project(tracks.truth.double(), rig.intrinsics, rig.extrinsics)[0]
    rng = np.random.default_rng(0)
    slow, white = np.sqrt(0.35) * SIGMA, np.sqrt(0.65) * SIGMA
    error = white * rng.standard_normal(exact.shape)
    for begin in tracks.first.unique().tolist():
        rows = tracks.first == begin
        own = lasting(rng, (1, int(rows.sum()), *exact.shape[1:]), 0.8, 0.0)[0]
        error[rows] += slow * own
    uv = (exact + torch.from_numpy(error)).transpose(1, 2).float()
    sigma = torch.ones(uv.shape[1], len(ids), dtype=torch.float64)
    nothing = 0 * sigma
    noise = NoiseParts(white * sigma, slow * sigma, nothing, 4.5, nothing + 0.001, 20.0)
    rig = dataclasses.replace(rig, sigma_px=SIGMA)
    where = tracks.keypoint, tracks.first, tracks.last
    frames, _ = estimate_frames_by_sets(uv, tracks.weights, rig, where[0], noise)
    found = without_strays(frames, tracks.weights, *where)
    of_frames = {name: getattr(found, name) for name in ("xyz", "info", "robust", "floor")}
    return dataclasses.replace(tracks, uv=uv, noise=noise, **of_frames), rig, ids


def test_claims_hold_where_errors_last_too_little_for_a_ground(mild):
    """A frame's deviation from a prediction says too little: both have errors in common."""
    tracks, rig, ids = mild
    model = network(ids, "window")
    model.learn(tracks, rig)
    assert model.ground is None
    every = torch.ones(tracks.is_real.shape, dtype=torch.bool)

    def held(noise):
        own = dataclasses.replace(tracks, noise=noise)
        model.calibrate([own], rig, 256)
        found = evaluation.estimate(model, own, rig, evaluation.Protocol(7))
        shares = [
            metrics.coverage(found.xyz, tracks.truth, found.covariance, every, p).mean
            for p in metrics.COVERAGE
        ]
        return shares, found.xyz

    (few, _), _ = held(None)
    assert few < 0.5
    (share, most), lifted = held(tracks.noise)
    assert 0.58 < share < 0.8
    assert 0.87 < most < 0.99
    again = network(ids, "window")
    state.load_model(again, model.state_dict())
    found = evaluation.estimate(again, tracks, rig, evaluation.Protocol(7))
    assert torch.equal(found.xyz, lifted)
