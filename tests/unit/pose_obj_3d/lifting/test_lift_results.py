"""What `lift` may claim: in any unit, between measurements only, never worse than single frames."""

from pathlib import Path

import numpy as np
import pytest
import torch

from pose_obj_3d.geometry.estimators import Estimate
from pose_obj_3d.lifting import choice, gaps, learning, scene_scale
from pose_obj_3d.lifting.choice import ROBUST
from pose_obj_3d.lifting.lift_file import MAP, RTS
from pose_obj_3d.lifting.showing import pictured
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from pose_obj_3d.lifting.tracks_from_file import load_own
from pose_obj_3d.training.checkpoints import store as checkpoints
from tests.unit.pose_obj_3d.lifting.track_scenes import (
    assert_one_line,
    call,
    members,
    results,
    trained_on_archive,
    write,
)
from tests.unit.pose_obj_3d.synthetic import project, rig

CASE = Path(__file__).resolve().parents[5] / "shared" / "cases" / "subject_leaves.npz"


def scaled(m, factor, far=(0.0, 0.0, 0.0)):
    """The same scene in another unit, and its world moved by `far` of the old ones."""
    E = m["extrinsics"].copy()
    E[:, :, 3] -= np.einsum("vij,j->vi", E[:, :, :3], np.array(far))
    return {**m, "extrinsics": E * [1, 1, 1, factor], "truth": (m["truth"] + far) * factor}


def shuffled(m, seed=0):
    """The frames in another order, as one sequence."""
    order = np.random.default_rng(seed).permutation(m["points"].shape[1])
    return {
        **m,
        "points": m["points"][:, order],
        "truth": m["truth"][order],
        "sequence_starts": np.array([0]),
    }


def boards(frames=200, views=4, missing=0.0, seed=0, fps=60.0):
    """Recordings of a calibration board: four corners that are anywhere in each frame."""
    rng = np.random.default_rng(seed)
    K, E = rig()
    centre = np.array([0.25, 0, 0.9]) + rng.uniform(-0.35, 0.35, (frames, 1, 3))
    corners = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0], [0.1, 0.1, 0]])
    turn = np.linalg.qr(rng.normal(size=(frames, 3, 3)))[0]
    xyz = centre + np.einsum("tij,kj->tki", turn, corners)
    uv = project(xyz, K, E) + rng.normal(size=(4, frames, 4, 2))
    uv[rng.random(uv.shape[:-1]) < missing] = np.nan
    return {
        "points": uv[:views],
        "intrinsics": K[:views],
        "extrinsics": E[:views],
        "truth": xyz,
        "fps": np.array(fps),
    }


def test_a_subject_that_leaves_has_no_3d(tmp_path, capsys):
    m = members(frames=40, sequences=2)
    gone = np.zeros(80, bool)
    gone[[*range(5), *range(30, 40)]] = True  # late into the first sequence, and out of it early
    m["points"][:, gone] = np.nan
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    points, report = results(tmp_path / "tracks_3d")
    assert np.isnan(points["points"][gone]).all()
    assert np.isnan(points["covariance"][gone]).all()
    assert not points["is_measured"][gone].any()
    assert np.isfinite(points["points"][~gone]).all(-1).mean() > 0.95
    (line,) = [w for w in report["warnings"] if "are NaN" in w]
    assert line.startswith(f"{report['outside']} points before the first or after the last")
    assert report["outside"] >= 15 * 4
    assert line in capsys.readouterr().err


@pytest.mark.skipif(not CASE.is_file(), reason="../shared/cases/subject_leaves.npz is not here")
def test_the_case_of_a_subject_that_leaves(tmp_path):
    assert call(CASE, "--out", str(tmp_path)) == 0
    points, report = results(tmp_path)
    assert np.isfinite(points["points"][:90]).all()
    assert np.isnan(points["points"][90:]).all()
    assert report["outside"] == 900 * 5


def test_a_gap_is_bridged_as_far_as_it_can_be(tmp_path, capsys):
    m = members(frames=60, sequences=1, missing=0, outliers=0)
    m["points"][:, 25:31, 0] = np.nan
    path = write(tmp_path / "tracks.npz", **m)
    found = {}
    for limit in ("default", "0", "inf"):
        assert call(path, *([] if limit == "default" else ["--bridge_limit", limit])) == 0
        points, report = results(tmp_path / "tracks_3d")
        found[limit] = np.isfinite(points["points"][25:31, 0]).all(-1)
        assert not points["is_measured"][25:31, 0].any()
        assert report["bridged"] == found[limit].sum()
        assert report["vague"] == 6 - found[limit].sum()
    assert found["default"].all()
    assert found["inf"].all()
    assert not found["0"].any()
    assert (
        "6 between measurements whose standard deviation would be above 0 m"
        in capsys.readouterr().out
    )
    assert call(path, "--bridge_limit", "-1") == 2
    assert_one_line(capsys, "--bridge_limit -1.0")


def test_what_a_gap_claims_decides():
    xyz = torch.zeros(5, 1, 3, dtype=torch.float64)
    covariance = torch.eye(3, dtype=torch.float64).repeat(5, 1, 1, 1)
    covariance[2] *= torch.tensor([1.0, 1.0, 9.0])  # one direction decides
    covariance[3] = torch.nan
    measured = torch.tensor([[True], [False], [False], [False], [True]])

    class Sequence:
        first, last = torch.zeros(5, dtype=torch.long), torch.full((5,), 4)

    found = gaps.bounded(Estimate(xyz, covariance), measured, Sequence, 2.0)
    assert found.estimate.xyz.isfinite().all(-1)[:, 0].tolist() == [True, True, False, False, True]
    assert (found.outside, found.vague, found.bridged) == (0, 2, 1)


def test_bridges_join_what_they_bridge():
    x = np.arange(6.0)
    solid, bridge = pictured.stretches(x, np.array([True, True, False, False, True, True]))
    np.testing.assert_array_equal(solid, [0, 1, np.nan, np.nan, 4, 5])
    np.testing.assert_array_equal(bridge, [np.nan, 1, 2, 3, 4, np.nan])


@pytest.mark.slow
@pytest.mark.parametrize(("factor", "far"), [(1e-4, 0.0), (1e6, 0.0), (1.0, 2e4)])
def test_any_unit_gives_the_same(tmp_path, factor, far):
    found = []
    for name, m in (
        ("a", members(frames=30, sequences=2)),
        ("b", scaled(members(frames=30, sequences=2), factor, (far, -far, far))),
    ):
        assert call(write(tmp_path / f"{name}.npz", **m)) == 0
        found.append(results(tmp_path / f"{name}_3d"))
    (here, report), (there, other) = found
    np.testing.assert_allclose(
        there["points"] / factor - np.array([far, -far, far]),
        here["points"],
        atol=1e-9 + 1e-12 * far,
    )
    np.testing.assert_allclose(
        there["covariance"] / factor**2, here["covariance"], rtol=1e-5, atol=1e-15
    )
    np.testing.assert_array_equal(there["is_measured"], here["is_measured"])
    assert other["jitter_m_per_s2"][RTS] / factor == pytest.approx(
        report["jitter_m_per_s2"][RTS], rel=1e-4
    )
    error = [r["error_mm"][RTS]["measured"]["mean"] for r in (other, report)]
    assert error[0] / factor == pytest.approx(error[1], rel=1e-4)
    assert other["bridge_limit"] / factor == pytest.approx(report["bridge_limit"], rel=1e-4)


@pytest.mark.parametrize("views", [[0, 1, 2, 3], [0, 1], [0, 3]])
def test_the_unit_suits_the_scene(tmp_path, views):
    m = members(frames=20, sequences=1)
    for key in ("points", "intrinsics", "extrinsics", "camera_names"):
        m[key] = m[key][views]
    units = []
    for name, factor in (("a", 1.0), ("b", 1e3)):
        path = write(tmp_path / f"{name}.npz", **scaled(m, factor))
        units.append(load_own(read_tracks(path)).unit_m)
    assert units[1] / units[0] == pytest.approx(1e3)
    assert 0.25 < units[0] < 4
    assert scene_scale.unit_for(1.3, 1.0) == 1.0
    assert scene_scale.unit_for(1300.0, 1.0) == 1300.0


@pytest.mark.slow
@pytest.mark.parametrize(("views", "missing"), [(4, 0.45), (2, 0.0)])
def test_frames_without_an_order_are_not_smoothed(tmp_path, views, missing, capsys):
    m = boards(views=views, missing=missing)
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    points, report = results(tmp_path / "tracks_3d")
    assert report["method"] == ROBUST
    assert any(
        "follow each other in time" in w or "left-out cameras" in w for w in report["warnings"]
    )
    assert any(w in capsys.readouterr().err for w in report["warnings"])
    errors = np.linalg.norm(points["points"] - m["truth"], axis=-1)
    assert np.isfinite(errors[points["is_measured"]]).all()
    assert np.isnan(errors[~points["is_measured"]]).all()
    seen = (~np.isnan(m["points"][..., 0])).sum(0) >= 2
    assert points["is_measured"].sum() > 0.95 * seen.sum()
    assert report["dropped"] == seen.sum() - points["is_measured"].sum()
    assert np.nanmean(errors) < 0.03
    assert call(tmp_path / "tracks.npz", "--keep", "smoother") == 0
    smoothed, report = results(tmp_path / "tracks_3d")
    assert report["method"] == RTS
    assert report["dropped"] == (seen & ~smoothed["is_measured"]).sum() > 0.05 * seen.sum()


@pytest.mark.slow
def test_frames_without_an_order_that_all_cameras_see_stay_as_good(tmp_path):
    assert call(write(tmp_path / "tracks.npz", **boards())) == 0
    errors = results(tmp_path / "tracks_3d")[1]["error_mm"]
    assert (
        next(iter(errors.values()))["measured"]["mean"] < 1.02 * errors[ROBUST]["measured"]["mean"]
    )


@pytest.mark.slow
def test_in_order_the_same_frames_are_smoothed(tmp_path):
    for name, m in (
        ("a", members(frames=80, sequences=2)),
        ("two", members(frames=80, sequences=2, views=2)),
    ):
        assert call(write(tmp_path / f"{name}.npz", **m)) == 0
        assert results(tmp_path / f"{name}_3d")[1]["method"] == RTS


def test_a_dropped_frame_is_not_measured(tmp_path):
    m = members(frames=60, sequences=1, views=2, missing=0, outliers=0)
    m["points"][1, [20, 40], 0] += [25.0, 40.0]
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    points, report = results(tmp_path / "tracks_3d")
    assert not points["is_measured"][[20, 40], 0].any()
    assert points["is_measured"][:, 1:].all()
    assert report["keypoints"][0]["frames_dropped"] == 2
    assert report["keypoints"][0]["frames_measured"] == 58
    assert report["dropped"] == 2
    error = np.linalg.norm(points["points"] - m["truth"], axis=-1)
    assert error[[20, 40], 0].max() < 0.02
    assert "2 of 240 points seen by two cameras or more (0.83 %) were dropped" in (
        tmp_path / "tracks_3d" / "report.md"
    ).read_text("utf-8")


def judged(tmp_path, off):
    """What is chosen where methods are off by so many px in left-out cameras."""
    data = load_own(
        read_tracks(
            write(tmp_path / "tracks.npz", **members(frames=60, sequences=1, missing=0, outliers=0))
        ),
        [1.0],
    )
    tracks, rng = data.tracks, torch.Generator().manual_seed(0)
    noise = torch.randn(tracks.weights.shape, generator=rng)
    left_out = {name: (noise + torch.as_tensor(x)).abs() for name, x in off.items()}
    measured = {name: gaps.is_measured(tracks) for name in off if name != ROBUST}
    single = choice.triangulation(tracks, data.rig)
    return choice.choose(
        tracks, data.rig, left_out, measured, single, ["lid", "handle", "cup", "tip"]
    )


def test_the_better_of_model_and_smoother_is_kept(tmp_path):
    for model, smoother in ((0.3, 1.0), (1.0, 0.3)):
        found = judged(tmp_path, {"STC": model, RTS: smoother, ROBUST: 2.0})
        better = "STC" if model < smoother else RTS
        assert found.names == [better] * 4
        assert found.line.endswith(f"{better} is kept")
        assert all(
            f"{found.left_out_px[name]:.3g} px" in found.line for name in ("STC", RTS, ROBUST)
        )
        assert found.warnings == []


def test_a_keypoint_that_loses_falls_back(tmp_path):
    lost = torch.tensor([0.0, 3.0, 0.0, 0.0])
    found = judged(tmp_path, {RTS: lost, ROBUST: 1.0})
    assert found.names == [RTS, ROBUST, RTS, RTS]
    (line,) = found.warnings
    assert line.startswith("keypoint handle: predicts left-out cameras worse")
    found = judged(tmp_path, {"STC": lost, RTS: 0.5, ROBUST: 1.0})
    assert set(found.names) == {RTS}
    found = judged(tmp_path, {RTS: 3.0, ROBUST: 1.0})
    assert found.names == [ROBUST] * 4
    assert "all keypoints" in found.warnings[0]


@pytest.mark.slow
def test_an_untrained_network_is_not_kept(tmp_path):
    best, m = trained_on_archive(
        tmp_path,
        "{TYPE: MHT, DROPOUT: 0.0, NUM_CHANNELS: 32, AFTER_MHF_DIM: 32, T_FORMER: {NUM_CHANNELS:"
        " 32, NUM_LAYERS: 3}}",
    )
    assert call(write(tmp_path / "tracks.npz", **m), "--checkpoint", best) == 0
    _, report = results(tmp_path / "tracks_3d")
    assert report["method"] in (MAP, RTS)
    assert report["left_out_px"][f"MHT of {best}"] > report["left_out_px"][report["method"]]


@pytest.mark.slow
@pytest.mark.parametrize("views", [4, 2])
def test_training_says_what_is_kept(tmp_path, views, capsys):
    path = write(tmp_path / "tracks.npz", **members(frames=30, sequences=3, views=views))
    assert call(path, "--train", "--epochs", "1") == 0
    out, err = capsys.readouterr()
    _, report = results(tmp_path / "tracks_3d")
    scores = report["left_out_px"]
    assert {"STC, learned from these tracks", RTS} <= set(scores)
    kept = min((name for name in scores if name != ROBUST), key=scores.get)
    assert report["choice"].endswith(f"{kept} is kept")
    assert report["left_out"] == ("camera" if views > 2 else "frame")
    assert report["choice"] in out
    assert report["choice"] in (tmp_path / "tracks_3d" / "report.md").read_text("utf-8")
    assert f"below {learning.LEARNING_FRAMES}" in err
    assert (
        call(path, "--checkpoint", str(tmp_path / "tracks_3d" / "best.pt"), "--keep", "model") == 0
    )
    assert results(tmp_path / "tracks_3d")[1]["method"].startswith("STC of")


def test_training_stops_when_nothing_improves(tmp_path, capsys):
    path = write(tmp_path / "tracks.npz", **members(frames=30, sequences=3))
    assert call(path, "--train", "--epochs", "40", "--patience", "1") == 0
    state = checkpoints.load(tmp_path / "tracks_3d" / "last.pt")
    assert state["epoch"] == state["best_epoch"] + 1 < 40
    assert f"stopped after epoch {state['epoch']}" in capsys.readouterr().err
    assert call(path, "--patience", "3") == 2
    assert_one_line(capsys, "--patience belong to --train")


@pytest.mark.slow
def test_a_checkpoint_knows_its_unit(tmp_path, capsys):
    m = members(frames=30, sequences=3)
    assert (
        call(
            write(tmp_path / "a.npz", **scaled(m, 1e3)),
            "--train",
            "--epochs",
            "1",
            "--keep",
            "model",
        )
        == 0
    )
    best = str(tmp_path / "a_3d" / "best.pt")
    assert checkpoints.load(Path(best))["unit_m"] == pytest.approx(1e3, rel=0.01)
    found = []
    for name, factor in (("a", 1e3), ("b", 1.0)):
        assert (
            call(
                write(tmp_path / f"{name}.npz", **scaled(m, factor)),
                "--checkpoint",
                best,
                "--keep",
                "model",
            )
            == 0
        )
        found.append(results(tmp_path / f"{name}_3d")[0]["points"] / factor)
    assert "was trained on a scene of another size" in capsys.readouterr().err
    np.testing.assert_allclose(found[1], found[0], atol=1e-5)


@pytest.mark.parametrize("key", ["points", "intrinsics", "extrinsics", "distortion", "truth"])
def test_numbers_beyond_all_bounds(tmp_path, capsys, key):
    m = {**members(frames=20, sequences=1), "distortion": np.zeros((4, 5))}
    m[key] = m[key].copy()
    m[key][0].flat[0] = 1e300
    assert call(write(tmp_path / "tracks.npz", **m)) == 2
    assert_one_line(capsys, "tracks.npz", f"{key} has a value of 1e+300")
    assert not (tmp_path / "tracks_3d").exists()


def test_a_result_without_a_point_is_an_error(tmp_path, capsys, monkeypatch):
    def lost(everything, names):
        first = next(iter(everything.values()))
        return Estimate(
            torch.full_like(first.xyz, torch.nan), torch.full_like(first.covariance, torch.nan)
        )

    monkeypatch.setattr(choice, "composed", lost)
    assert call(write(tmp_path / "tracks.npz", **members(frames=20, sequences=1))) == 2
    assert_one_line(capsys, "tracks.npz", "no point could be lifted")
    assert not list(tmp_path.glob("tracks_3d/points3d.npz"))
