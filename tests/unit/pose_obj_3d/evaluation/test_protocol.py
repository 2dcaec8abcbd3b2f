"""Evaluation: claimed uncertainty, the bound of keypoints that never move."""

import dataclasses
import math

import pytest
import torch

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.evaluation import claims, metrics, report
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation.protocol import Protocol
from pose_obj_3d.formal import read_formal
from pose_obj_3d.geometry import estimators
from pose_obj_3d.geometry import multi_view as geometry
from pose_obj_3d.geometry.estimators import Estimate, region_edges
from pose_obj_3d.geometry.noise_parts import ClaimScale, white_noise
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from pose_obj_3d.tracks.motion import never_moves
from pose_obj_3d.tracks.triangulating import single_frame
from pose_obj_3d.training.config import NetworkConfig
from pose_obj_3d.training.model_registry import build_model
from tests.unit.pose_obj_3d.synthetic import write_scene

GROUPS = ("waypoints", "objects", "robot")
PROTOCOL = Protocol(7)


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    """Return rig, test tracks and keypoint names of a scene."""
    data = read_formal(
        write_scene(tmp_path_factory.mktemp("evaluation") / "a.npz", examples=12, frames=40)
    )
    rig, ids = make_rig(data), keypoint_ids(data, [0], GROUPS)
    return rig, load_tracks(data, rig, [0], "train", ids), ids


def errors(n=40000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    a = torch.randn(n, 3, 3, generator=generator, dtype=torch.float64) * 0.003
    covariance = a @ a.transpose(-1, -2) + 1e-6 * torch.eye(3)
    e = torch.linalg.cholesky(covariance) @ torch.randn(
        n, 3, 1, generator=generator, dtype=torch.float64
    )
    return e.squeeze(-1), covariance


@pytest.mark.parametrize("percent", metrics.COVERAGE)
def test_regions_hold_their_share_of_gaussian_errors(percent):
    edges = dict(zip(metrics.COVERAGE, region_edges(0.0), strict=True))
    q = torch.tensor(edges[percent], dtype=torch.float64)
    assert float(
        torch.special.gammainc(torch.tensor(1.5, dtype=torch.float64), q / 2)
    ) == pytest.approx(percent / 100)
    e, covariance = errors()
    mask = torch.ones(len(e), dtype=torch.bool)
    share = metrics.coverage(e, torch.zeros_like(e), covariance, mask, percent)
    assert share.mean == pytest.approx(percent / 100, abs=0.008)
    for factor, compare in ((0.25, float.__lt__), (4.0, float.__gt__)):
        assert compare(
            metrics.coverage(e, torch.zeros_like(e), factor * covariance, mask, percent).mean,
            share.mean,
        )


def test_points_without_a_claim_are_left_out():
    e, covariance = errors(10)
    covariance[3:] = torch.nan
    found = metrics.coverage(
        e, torch.zeros_like(e), covariance, torch.ones(10, dtype=torch.bool), 95
    )
    assert found.count == 3
    assert (
        metrics.coverage(e, e, -covariance, torch.ones(10, dtype=torch.bool), 95).total == 3
    )  # no error at all
    assert metrics.coverage(e + 1, e, -covariance, torch.ones(10, dtype=torch.bool), 95).total == 0


def test_one_frame_estimators_are_calibrated_in_the_table(scene):
    rig, tracks, ids = scene
    result = evaluation.evaluate(
        evaluation.reference_predictions(tracks, rig, PROTOCOL), tracks, rig, PROTOCOL, ids
    )
    for column in evaluation.COLUMNS[:3]:
        found = result["methods"]["maximum likelihood"][column]
        assert found["claimed_count"] == found["count"]
        assert found["coverage_68_percent"] == pytest.approx(68, abs=5)
        assert found["coverage_95_percent"] == pytest.approx(95, abs=3)
        assert found["claimed_error_mm"] == pytest.approx(found["mpjpe_mm"], rel=0.08)
    moving = result["methods"]["7-frame weighted mean"]["moving"]
    assert moving["coverage_95_percent"] < 50
    assert moving["claimed_error_mm"] < 0.5 * moving["mpjpe_mm"]
    text, page = report.calibration_text(result), report.markdown({"Test": result})
    assert "maximum likelihood" in text
    assert "all / moving / still / never moving" in text
    never = result["methods"]["7-frame weighted mean"]["never moving"]
    assert never["coverage_68_percent"] == pytest.approx(68, abs=6)
    assert never["median_mm"] < never["mpjpe_mm"]
    assert "| within 68 %, never moving [%] |" in page
    assert "| claimed uncertainty | within 68 %, all [%] |" in page
    assert "Cramer" not in text


def test_a_method_without_covariance_claims_nothing(scene):
    rig, tracks, ids = scene
    model = build_model(NetworkConfig(TYPE="triangulation"), len(ids), rig)
    found = evaluation.estimate(model, tracks, rig, PROTOCOL)
    assert found.covariance.isnan().all()
    assert torch.equal(found.xyz, evaluation.predict(model, tracks, rig, PROTOCOL))
    result = evaluation.evaluate({"a": found, "b": found.xyz}, tracks, rig, PROTOCOL, ids)
    assert "claimed_error_mm" not in result["methods"]["a"]["all"]
    assert result["methods"]["a"] == result["methods"]["b"]


def test_what_a_detector_claims_beyond_the_views_widens_every_claim(scene):
    rig, tracks, ids = scene
    noise = white_noise(torch.full((4, len(ids)), rig.sigma_px, dtype=torch.float64))
    usual = ClaimScale(torch.full((4,), 6.0, dtype=torch.float64), 0.0, 0.0)
    claims = 36.0 * torch.eye(2, dtype=torch.float64).expand(*tracks.weights.shape, 2, 2)
    claimed = dataclasses.replace(
        tracks, claims=claims, noise=dataclasses.replace(noise, claims=usual)
    )
    model = build_model(NetworkConfig(TYPE="triangulation"), len(ids), rig)
    of_window = dataclasses.replace(PROTOCOL, used_frames=7)  # whole tracks would take time
    plain, _ = evaluation.compare(model, "huber", tracks, rig, of_window, ids)
    wider, _ = evaluation.compare(model, "huber", claimed, rig, of_window, ids)
    for name in (evaluation.DLT, "maximum likelihood", "7-frame weighted mean"):
        before, after = (x["methods"][name]["all"]["claimed_error_mm"] for x in (plain, wider))
        assert after > 1.5 * before


def test_a_model_claims_the_inverse_of_its_information(scene):
    rig, tracks, ids = scene
    torch.manual_seed(0)
    model = build_model(NetworkConfig(TYPE="STC", DROPOUT=0.0), len(ids), rig).eval()
    found = evaluation.estimate(model, tracks, rig, dataclasses.replace(PROTOCOL, batch_size=37))
    windows = evaluation.gather_for(model, tracks, torch.arange(9), 7)
    rig32 = dataclasses.replace(
        rig, intrinsics=rig.intrinsics.float(), extrinsics=rig.extrinsics.float()
    )
    with torch.no_grad():
        prediction = model(windows, rig32)
    eye = torch.eye(3).expand(9, 4, 3, 3)
    torch.testing.assert_close(found.covariance[:9] @ prediction.info, eye, rtol=0, atol=1e-3)
    assert found.covariance.shape == (len(tracks), 4, 3, 3)


def test_the_claimed_error_is_that_of_the_covariance():
    covariance = torch.diag_embed(
        torch.tensor([[4e-6, 4e-6, 4e-6], [9e-6, 0, 0]], dtype=torch.float64)
    )
    covariance[1] = torch.nan
    found = claims.claimed_error(Estimate(torch.zeros(2, 3), covariance))
    assert float(found[0]) == pytest.approx(0.002 * math.sqrt(8 / math.pi), rel=1e-4)
    assert found[1].isnan()


def test_the_whole_track_bound_is_met_by_the_mean_of_all_frames(scene):
    rig, tracks, _ = scene
    bound = evaluation.whole_track_bound(tracks, rig, PROTOCOL)
    never = never_moves(tracks, PROTOCOL.frame_period_s)
    assert torch.equal(never, (tracks.keypoint == 1) & never)
    assert never[:, 1].all()  # the one keypoint that stays
    assert bound[:, [0, 2, 3]].isinf().all()
    seen = bound[:, 1].isfinite()
    weight = seen[:, None, None]
    ml = single_frame(estimators.maximum_likelihood, tracks, rig)
    error = []
    for first in tracks.first.unique().tolist():
        rows = tracks.first == first
        info = Estimate(ml.xyz[rows, 1], ml.covariance[rows, 1].double()).info * weight[rows]
        mean, _ = geometry.weighted_mean(ml.xyz[rows, 1].double(), info)
        error.append(float((mean - tracks.truth[first, 1]).norm()))
    expected = float(bound[seen, 1].mean())
    assert 0.5 * expected < sum(error) / len(error) < 1.7 * expected  # 8 examples: a wide bracket
    window = evaluation.cramer_rao(tracks, rig, PROTOCOL)["Cramer-Rao bound, 7 frames where still"]
    assert expected < 0.6 * float(window[seen, 1].mean())


def test_a_moment_of_motion_ends_the_whole_track_bound(scene):
    rig, tracks, _ = scene
    truth = tracks.truth.clone()
    truth[5, 1] += 0.01
    moved = dataclasses.replace(tracks, truth=truth)
    bound = evaluation.whole_track_bound(moved, rig, PROTOCOL)
    of_first = moved.first == 0
    assert bound[of_first].isinf().all()
    assert bound[~of_first, 1].isfinite().any()
    with pytest.raises(DataError, match="3D truth"):
        evaluation.whole_track_bound(dataclasses.replace(tracks, truth=None), rig, PROTOCOL)
