"""Lifting a user's own tracks, through the real command."""

import re

import numpy as np
import pytest
import torch
from matplotlib.image import imsave

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry import lenses
from pose_obj_3d.geometry.lenses import distort
from pose_obj_3d.lifting.lift_file import RTS
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from tests.unit.pose_obj_3d.lifting.track_scenes import (
    NAMES_K,
    SIGMA,
    assert_one_line,
    call,
    members,
    results,
    trained_on_archive,
    write,
)
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, rig

LENS = np.array([-0.25, 0.08, 0.001, -0.0005, 0.02])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Return a folder with tracks.npz and its results."""
    folder = tmp_path_factory.mktemp("plain")
    write(folder / "tracks.npz", **members())
    assert call(folder / "tracks.npz", pictures=True) == 0
    return folder


@pytest.mark.slow
def test_it_works_at_once(plain):
    out = plain / "tracks_3d"
    points, report = results(out)
    assert points["points"].shape == (120, 4, 3)
    assert points["covariance"].shape == (120, 4, 3, 3)
    assert points["is_measured"].mean() > 0.9
    assert points["weights"].shape == (4, 120, 4)
    assert list(points["keypoint_names"]) == NAMES_K
    assert str(points["units"]) == "m"
    ours, *_, single, robust = (
        report["error_mm"][name]["measured"]["mean"] for name in report["error_mm"]
    )
    assert ours < 0.6 * robust < 0.8 * single
    np.testing.assert_allclose([c["noise_px"] for c in report["cameras"]], SIGMA.ravel(), rtol=0.25)
    for camera in report["cameras"]:
        assert 3 < camera["outliers"] < 40
        left = camera["left_out_px"]
        assert left["ours"]["p95"] < left["triangulation"]["p95"]
        assert camera["reprojection_px"]["median"] < left["ours"]["median"] + 0.2
    assert report["jitter_m_per_s2"][RTS] < 0.3 * max(report["jitter_m_per_s2"].values())
    assert 60 < report["error_mm"][RTS]["coverage_68_percent"] < 85
    for name in ("report.md", "tracks_3d.png", "coordinates.png", "reprojection.png"):
        assert (out / name).stat().st_size > 0
    assert not list(out.glob(".*"))


def test_the_claims_stand_in_the_report(plain):
    text = (plain / "tracks_3d" / "report.md").read_text(encoding="utf-8")
    for word in ("left_shoulder", "handle", "mean acceleration", "within 68 %", "RTS smoother"):
        assert word in text
    assert re.findall(r"\]\((.*?)\)", text) == [
        "tracks_3d.png",
        "coordinates.png",
        "reprojection.png",
    ]


def test_without_pictures_the_report_links_none(plain, tmp_path):
    assert call(plain / "tracks.npz", "--out", str(tmp_path / "out")) == 0
    assert "](" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert not list((tmp_path / "out").glob("*.png"))


def test_millimetres_give_the_same(plain, tmp_path):
    m = members()
    m["extrinsics"] = np.concatenate(
        [m["extrinsics"] * [1, 1, 1, 1000], np.tile([0, 0, 0, 1.0], (4, 1, 1))], 1
    )
    m["truth"] = m["truth"] * 1000
    path = write(tmp_path / "tracks.npz", **m, units=np.array("mm"))
    assert call(path) == 0
    there, in_m = results(tmp_path / "tracks_3d"), results(plain / "tracks_3d")
    np.testing.assert_allclose(there[0]["points"], 1000 * in_m[0]["points"], atol=1e-3)
    np.testing.assert_allclose(
        there[0]["covariance"], 1e6 * in_m[0]["covariance"], rtol=1e-3, atol=1e-9
    )
    assert there[1]["error_mm"][RTS]["measured"]["mean"] == pytest.approx(
        in_m[1]["error_mm"][RTS]["measured"]["mean"], abs=1e-3
    )
    del m["truth"]
    assert call(write(tmp_path / "b.npz", **m), "--units", "mm") == 0
    assert "error_mm" not in results(tmp_path / "b_3d")[1]
    np.testing.assert_allclose(
        results(tmp_path / "b_3d")[0]["points"], there[0]["points"], atol=1e-6
    )


def test_a_world_far_away_gives_the_same(plain, tmp_path):
    m = members()
    far = np.array([4e5, -3e6, 500.0])
    m["extrinsics"] = m["extrinsics"].copy()
    m["extrinsics"][:, :, 3] -= np.einsum("vij,j->vi", m["extrinsics"][:, :, :3], far)
    m["truth"] = m["truth"] + far
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    np.testing.assert_allclose(
        results(tmp_path / "tracks_3d")[0]["points"] - far,
        results(plain / "tracks_3d")[0]["points"],
        atol=1e-5,
    )


def test_distortion_goes_and_comes_back(plain, tmp_path):
    m = members()
    for v in range(4):
        seen = ~np.isnan(m["points"][v]).any(-1)
        m["points"][v][seen] = distort(m["points"][v][seen], m["intrinsics"][v], LENS)
    path = write(tmp_path / "tracks.npz", **m, distortion=np.tile(LENS, (4, 1)))
    np.testing.assert_allclose(read_tracks(path).points, members()["points"], atol=1e-6)
    assert call(path) == 0
    np.testing.assert_allclose(
        results(tmp_path / "tracks_3d")[0]["points"],
        results(plain / "tracks_3d")[0]["points"],
        atol=1e-6,
    )
    m["distortion"] = np.tile([-3.0, 0, 0, 0], (4, 1))
    with pytest.raises(DataError, match="distortion of left_shoulder cannot be inverted"):
        read_tracks(write(tmp_path / "bad.npz", **m))


@pytest.mark.parametrize("count", [4, 5, 8, 12, 14])
def test_every_lens_of_opencv(count):
    rng = np.random.default_rng(count)
    K = rig()[0][0]
    lens = np.concatenate([LENS[:4], rng.normal(scale=0.01, size=10)])[:count]
    full = np.concatenate([lens, np.zeros(14 - count)])
    uv = rng.uniform(0, IMAGE, (200, 2))
    ideal = lenses.undistort("x", uv[None, None], K[None], full[None], ["a"])[0, 0]
    np.testing.assert_allclose(distort(ideal, K, full), uv, atol=1e-6)
    assert np.abs(ideal - uv).max() > 0.5


@pytest.mark.slow
def test_training_beats_triangulation(tmp_path):
    path = write(tmp_path / "tracks.npz", **members(frames=60))
    assert call(path, "--train", "--epochs", "2", "--context", "window", "--keep", "model") == 0
    out = tmp_path / "tracks_3d"
    points, report = results(out)
    errors = {name: found["measured"]["mean"] for name, found in report["error_mm"].items()}
    assert next(iter(errors)).startswith("STC")
    assert next(iter(errors.values())) < 0.75 * errors["robust triangulation (Huber)"]
    assert list((out / "log").glob("*/events.out.tfevents.*"))
    assert str(points["method"]).startswith("STC")
    assert (
        call(
            path,
            "--checkpoint",
            str(out / "best.pt"),
            "--keep",
            "model",
            "--out",
            str(tmp_path / "again"),
        )
        == 0
    )
    again, _ = results(tmp_path / "again")
    np.testing.assert_allclose(again["points"], points["points"], atol=1e-6)


def test_the_truth_is_never_read_in_learning(tmp_path):
    m = members(frames=25)
    rng = np.random.default_rng(1)
    found = []
    for name in ("plain", "scrambled"):
        if name == "scrambled":
            m["truth"] = rng.normal(size=m["truth"].shape)
        path = write(tmp_path / f"{name}.npz", **m)
        assert call(path, "--train", "--epochs", "1") == 0
        found.append((tmp_path / f"{name}_3d" / "points3d.npz").read_bytes())
    assert found[0] == found[1]
    states = [
        torch.load(tmp_path / f"{n}_3d" / "best.pt", weights_only=True)
        for n in ("plain", "scrambled")
    ]
    assert states[0]["data_sha256"] == states[1]["data_sha256"]
    assert all(torch.equal(v, states[1]["model"][k]) for k, v in states[0]["model"].items())


@pytest.mark.parametrize("views", [2, 3])
def test_any_number_of_views(tmp_path, views):
    path = write(
        tmp_path / "tracks.npz", **members(frames=30, sequences=2, views=views, outliers=0)
    )
    assert call(path) == 0
    points, report = results(tmp_path / "tracks_3d")
    ours, *_, single, _ = (
        report["error_mm"][name]["measured"]["mean"] for name in report["error_mm"]
    )
    assert ours < 0.7 * single
    assert (report["cameras"][0]["left_out_px"]["ours"]["median"] is None) == (views == 2)
    assert np.isfinite(points["points"][points["is_measured"]]).all()


def test_chosen_views_and_a_camera_that_sees_nothing(tmp_path):
    m = members(frames=30, sequences=1)
    m["points"][1] = np.nan
    path = write(tmp_path / "tracks.npz", **m)
    assert call(path) == 0
    points, report = results(tmp_path / "tracks_3d")
    assert report["warnings"] == ["camera right_shoulder sees no keypoint in any frame"]
    assert call(path, "--views", "0", "overhead", "front") == 0
    chosen, report = results(tmp_path / "tracks_3d")
    assert [c["name"] for c in report["cameras"]] == ["left_shoulder", "overhead", "front"]
    np.testing.assert_allclose(chosen["points"], points["points"], atol=1e-3)


def test_a_keypoint_never_seen_has_no_3d(tmp_path):
    m = members(frames=30, sequences=3)
    m["points"][1:, :, 2] = np.nan
    m["points"][:, 30:60, 0] = np.nan
    path = write(tmp_path / "tracks.npz", **m)
    for flags in ([], ["--train", "--epochs", "1"]):
        assert call(path, *flags) == 0
        points, report = results(tmp_path / "tracks_3d")
        lost = np.isnan(points["points"]).all(-1)
        assert lost[:, 2].all()
        assert lost[30:60, 0].all()
        assert lost.sum() == 90 + 30
        assert (np.isnan(points["covariance"]).all((-1, -2)) == lost).all()
        assert report["keypoints"][2]["frames_lifted"] == 0
        assert report["warnings"][0] == "never seen by two views in one frame, so without 3D: cup"
        assert len(report["warnings"]) == (2 if flags else 1)  # 90 frames are few to learn from


def test_gaps_are_bridged_with_less_certainty(tmp_path):
    m = members(frames=40, sequences=1, missing=0, outliers=0)
    m["points"][:, 15:22, 0] = np.nan
    m["confidence"] = np.ones(m["points"].shape[:-1])
    m["confidence"][:, 15:22, 1] = 0
    path = write(tmp_path / "tracks.npz", **m)
    assert call(path) == 0
    points, _ = results(tmp_path / "tracks_3d")
    size = np.trace(points["covariance"], axis1=-2, axis2=-1)
    for k in (0, 1):
        assert not points["is_measured"][15:22, k].any()
        assert np.isfinite(points["points"][15:22, k]).all()
        assert size[18, k] >= 0.99 * size[30, k]
    assert size[18, 0] > 1.5 * size[30, 0]


def test_noise_given_by_flag(tmp_path, capsys):
    path = write(tmp_path / "tracks.npz", **members(frames=30, sequences=1))
    assert call(path, "--sigma_px", "1", "1", "1", "2") == 0
    assert [c["noise_px"] for c in results(tmp_path / "tracks_3d")[1]["cameras"]] == [1, 1, 1, 2]
    assert call(path, "--sigma_px", "1", "2") == 2
    assert_one_line(capsys, "--sigma_px 1.0 2.0", "4 cameras")


def test_pictures_on_frames(tmp_path, capsys):
    path = write(tmp_path / "tracks.npz", **members(frames=12, sequences=1))
    for view in NAMES:
        for frame in range(12):
            imsave(tmp_path / f"{view}_{frame:03d}.png", np.full((8, 8, 3), 0.5))
    assert call(path, "--images", str(tmp_path / "{view}_{frame:03d}.png"), pictures=True) == 0
    assert call(path, "--images", str(tmp_path / "{camera}.png")) == 2
    assert_one_line(capsys, "allowed are {view} and {frame}")


def test_a_checkpoint_of_other_keypoints(tmp_path, capsys):
    m = members(frames=60, sequences=2)
    path = write(tmp_path / "tracks.npz", **m)
    assert call(path, "--train", "--epochs", "1") == 0
    best = str(tmp_path / "tracks_3d" / "best.pt")
    m["keypoint_names"] = np.array(["lid", "handle", "bottle", "tip"])
    assert call(write(tmp_path / "b.npz", **m), "--checkpoint", best) == 2
    assert_one_line(
        capsys, "does not know keypoint bottle (as own/points/bottle)", "own/points/cup"
    )
    m = {
        **members(frames=20, sequences=1),
        "keypoint_names": np.array(["tip", "cup", "handle", "lid"]),
    }
    m["points"], m["truth"] = m["points"][:, :, ::-1], m["truth"][:, ::-1]
    assert call(write(tmp_path / "c.npz", **m), "--checkpoint", best) == 0
    report = results(tmp_path / "c_3d")[1]
    errors = [found["measured"]["mean"] for found in report["error_mm"].values()]
    assert errors[0] < 0.8 * errors[-1]


def test_swapped_cameras_are_warned_of(tmp_path, capsys):
    m = members(frames=30, sequences=1)
    m["points"] = m["points"][[1, 0, 2, 3]]
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    assert "left_shoulder and right_shoulder exchanged" in capsys.readouterr().err
    line = results(tmp_path / "tracks_3d")[1]["warnings"][0]
    assert "exchanged" in line
    assert line in (tmp_path / "tracks_3d" / "report.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("far", [0.0, 1e6])
def test_camera_to_world_extrinsics_are_recognised(tmp_path, far):
    """The file's own matrices are what inverting must undo, wherever its world lies."""
    m = members(frames=30, sequences=1)
    R, t = m["extrinsics"][:, :, :3], m["extrinsics"][:, :, 3]
    m["extrinsics"] = np.concatenate(
        [R.transpose(0, 2, 1), far - np.einsum("vji,vj->vi", R, t)[..., None]], -1
    )
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    line = results(tmp_path / "tracks_3d")[1]["warnings"][0]
    assert "with inverted extrinsics: they seem to be camera to world" in line


def test_a_camera_that_looks_away_is_left_out(tmp_path):
    m = members(frames=30, sequences=1)
    m["extrinsics"] = m["extrinsics"].copy()
    m["extrinsics"][3] = np.diag([1, -1, -1]) @ m["extrinsics"][3]
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    there, report = results(tmp_path / "tracks_3d")
    behind, out = report["warnings"]
    assert behind.startswith("100 % of the points of camera front lie behind it")
    assert out == "camera front is left out of the result"
    assert call(tmp_path / "tracks.npz", "--views", "0", "1", "2") == 0
    chosen, report = results(tmp_path / "tracks_3d")
    assert report["warnings"] == []
    np.testing.assert_allclose(there["points"], chosen["points"], atol=1e-4)


def test_missing_points_written_as_zeros_accuse_no_camera(tmp_path):
    m = members(frames=30, sequences=1, missing=0.25)
    m["points"] = np.nan_to_num(m["points"])
    assert call(write(tmp_path / "tracks.npz", **m)) == 0
    points, report = results(tmp_path / "tracks_3d")
    (line,) = report["warnings"]
    assert "mark missing ones" in line
    assert "at (0, 0)" in line
    assert (points["weights"][(m["points"] == 0).all(-1)] == 0).all()


def test_a_checkpoint_of_an_archive(tmp_path):
    best, m = trained_on_archive(tmp_path, "{TYPE: STC}")
    assert call(write(tmp_path / "tracks.npz", **m), "--checkpoint", best, "--keep", "model") == 0
    _, report = results(tmp_path / "tracks_3d")
    errors = [found["measured"]["mean"] for found in report["error_mm"].values()]
    assert report["method"].startswith("STC of")
    assert errors[0] < 0.8 * errors[-1]


@pytest.mark.slow
def test_mht_of_an_archive(tmp_path, capsys):
    """It works in any world, and a line says that it claims no covariance."""
    best, m = trained_on_archive(
        tmp_path,
        "{TYPE: MHT, DROPOUT: 0.0, NUM_CHANNELS: 32, AFTER_MHF_DIM: 32, T_FORMER: {NUM_CHANNELS:"
        " 32, NUM_LAYERS: 3}}",
    )
    assert call(write(tmp_path / "tracks.npz", **m), "--checkpoint", best, "--keep", "model") == 0
    here, report = results(tmp_path / "tracks_3d")
    (line,) = [w for w in report["warnings"] if "claims no covariance" in w]
    assert line.startswith("MHT of")
    assert line in capsys.readouterr().err
    measured = here["is_measured"]
    assert np.isnan(here["covariance"][measured]).all()
    seen = ~np.isnan(m["points"]).any(-1)
    dropped = (seen & (here["weights"] == 0)).sum((1, 2))
    assert [c["outliers"] for c in report["cameras"]] == dropped.tolist()
    assert dropped.sum() > 0
    turn, far = (
        np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        np.array([3000.0, -5000.0, 100.0]),
    )  # [mm]
    E = m["extrinsics"]
    m["extrinsics"] = np.concatenate(
        [E[:, :, :3] @ turn.T, E[:, :, 3:] - (E[:, :, :3] @ turn.T @ far)[..., None]], -1
    )
    assert (
        call(
            write(tmp_path / "moved.npz", **{**m, "truth": m["truth"] @ turn.T + far}),
            "--checkpoint",
            best,
            "--keep",
            "model",
        )
        == 0
    )
    there, _ = results(tmp_path / "moved_3d")
    np.testing.assert_allclose(
        there["points"][measured], (here["points"] @ turn.T + far)[measured], atol=0.05
    )
