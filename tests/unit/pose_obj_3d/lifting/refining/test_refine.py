"""`lift --refine`: cameras that are disturbed, and cameras that are right."""

import json
from dataclasses import replace

import numpy as np
import pytest

from pose_obj_3d import lift_tracks, triangulate
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.geometry.adjusting.rotations import angle_between, rotation
from pose_obj_3d.geometry.lenses import distort
from pose_obj_3d.lifting.options import LiftOptions
from pose_obj_3d.lifting.refining.gauge import similarity
from pose_obj_3d.lifting.refining.refine import refine
from pose_obj_3d.lifting.track_files.track_file import tracks_of
from tests.unit.pose_obj_3d.lifting.track_scenes import assert_one_line, call, members, write


def disturbed(values, degrees=0.0, percent=0.0, seed=1, cameras=(0, 1, 2, 3)):
    """Turn cameras where they stand, and change their focal lengths."""
    rng = np.random.default_rng(seed)
    K, E = values["intrinsics"].copy(), values["extrinsics"].copy()
    for v in cameras:
        axis = rng.normal(size=3)
        turn = rotation(np.deg2rad(degrees) * axis / np.linalg.norm(axis))
        E[v] = turn @ E[v]
        K[v, [0, 1], [0, 1]] *= 1 + (-1) ** v * percent / 100
    return {**values, "intrinsics": K, "extrinsics": E}


@pytest.fixture(scope="module")
def exact():
    return members(frames=60, sequences=2)


def test_cameras_that_are_right_stay(exact):
    file = tracks_of(exact, "tracks")
    found, refinement, warnings = refine(file)
    assert refinement.accepted == "none"
    assert np.array_equal(found.extrinsics, file.extrinsics)
    assert np.array_equal(found.intrinsics, file.intrinsics)
    assert not warnings
    assert "stay as they are" in refinement.lines[-1]


@pytest.mark.parametrize(("degrees", "percent"), [(0.5, 0.0), (0.0, 1.5), (0.5, 1.0)])
def test_disturbed_cameras_agree_again(exact, degrees, percent):
    right = tracks_of(exact, "tracks")
    file = tracks_of(disturbed(exact, degrees, percent), "tracks")
    found, refinement, _ = refine(file)
    assert refinement.accepted != "none"
    before, after = (_shape_error(x) for x in (file, found))
    assert after < before
    assert after < 1.05 * _shape_error(right)
    assert _error(found) < 1.02 * _error(file)  # the world has not moved
    (step, *_) = refinement.steps
    assert step.after_px < step.before_px


def test_one_camera_that_was_knocked(exact):
    file = tracks_of(disturbed(exact, 4.0, cameras=[2]), "tracks")
    found, refinement, warnings = refine(file)
    turned = [camera.turned_deg for camera in refinement.cameras]
    assert turned[2] > 2.0
    assert max(turned[:2] + turned[3:]) < 1.5
    (warning,) = warnings
    assert file.camera_names[2] in warning
    right = tracks_of(exact, "tracks")
    assert _shape_error(found) < 1.05 * _shape_error(right)
    assert _error(found) < _error(file)


def test_focal_lengths_with_distortion(exact):
    """The focal length changes what distortion makes of a pixel."""
    values = dict(exact)
    D = np.zeros((4, 5))
    D[:, 0] = -0.15
    full = np.zeros((4, 14))
    full[:, :5] = D
    values["points"] = np.stack(
        [
            distort(uv.reshape(-1, 2), K, d).reshape(uv.shape)
            for uv, K, d in zip(values["points"], values["intrinsics"], full, strict=True)
        ]
    )
    values["distortion"] = D
    wrong = disturbed(values, 0.0, 3.0)
    found, refinement, _ = refine(tracks_of(wrong, "tracks"), (0.02, 3.0))
    assert refinement.accepted == "extrinsics and focal lengths"
    ratio = found.intrinsics[:, 0, 0] / values["intrinsics"][:, 0, 0]
    assert np.ptp(ratio) < 0.5 * np.ptp(
        wrong["intrinsics"][:, 0, 0] / values["intrinsics"][:, 0, 0]
    )
    assert _shape_error(found) < 1.1 * _shape_error(tracks_of(values, "tracks"))


def test_two_cameras_and_little_to_see(exact):
    two = {k: v[:2] if k in ("points", "intrinsics", "extrinsics") else v for k, v in exact.items()}
    two["camera_names"] = exact["camera_names"][:2]
    assert refine(tracks_of(two, "tracks"))[1].accepted == "none"
    few = tracks_of(exact, "tracks")
    confidence = few.confidence.copy()
    confidence[:, 3:] = 0
    _, refinement, warnings = refine(replace(few, confidence=confidence))
    assert refinement.accepted == "none"
    assert "points are seen by two cameras" in warnings[0]


def test_the_command_says_what_has_changed(exact, tmp_path, capsys):
    path = write(tmp_path / "t.npz", **disturbed(exact, 0.7))
    assert call(path, "--refine", "--keep", "triangulation") == 0
    out = capsys.readouterr().out
    assert "camera adjusted" in out
    assert "cameras of the result are adjusted (extrinsics" in out
    report = json.loads((tmp_path / "t_3d" / "report.json").read_text(encoding="utf-8"))
    assert len(report["refinement"]["cameras"]) == 4
    with np.load(tmp_path / "t_3d" / "points3d.npz") as found, np.load(path) as given:
        assert found["extrinsics"].shape == (4, 3, 4)
        assert 0.0 < np.abs(found["extrinsics"] - given["extrinsics"][:, :3]).max() < 0.1
    assert call(path, "--refine_prior", "1") == 2
    assert_one_line(capsys, "--refine_prior belongs to --refine")


def test_arrays_may_be_refined(exact):
    values = disturbed(exact, 0.7)
    given = {key: values[key] for key in ("points", "intrinsics", "extrinsics")}
    found = lift_tracks(**given, refine=True, refine_prior=1.0, keep="triangulation")
    assert found.report.refinement is not None
    assert found.report.refinement.accepted != "none"
    plain = lift_tracks(**given, keep="triangulation")
    assert plain.report.refinement is None
    assert np.allclose(plain.extrinsics, values["extrinsics"][:, :3])


@pytest.mark.parametrize("prior", [(0.0,), (1.0, -1.0), (1.0, 1.0, 1.0), (float("nan"),), (90.0,)])
def test_priors_that_cannot_be(prior):
    with pytest.raises(ConfigError, match="--refine_prior .*DEGREES"):
        LiftOptions(refine=True, refine_prior=prior)


def test_similarity_ignores_gross_errors():
    rng = np.random.default_rng(0)
    a = rng.normal(size=(60, 3))
    R = rotation(np.array([0.3, -0.2, 0.5]))
    b = 1.2 * a @ R.T + [1.0, 2.0, 3.0]
    b[:8] += rng.normal(size=(8, 3)) * 5
    found, scale, shift = similarity(a, b)
    assert angle_between(found, R) < 0.01
    assert abs(scale - 1.2) < 0.01
    assert np.abs(shift - [1.0, 2.0, 3.0]).max() < 0.02


def _points(file):
    """Triangulate by all cameras, and give the true points beside them (n, 3), (n, 3) [mm]."""
    found = triangulate(file.points, file.intrinsics, file.extrinsics, method="huber").points
    good = np.isfinite(found).all(-1)
    return 1000 * found[good], 1000 * file.truth[good]


def _error(file):
    found, truth = _points(file)
    return np.median(np.linalg.norm(found - truth, axis=-1))


def _shape_error(file):
    """Compare up to the frame and the scale of the world."""
    found, truth = _points(file)
    R, scale, shift = similarity(found, truth)
    return np.median(np.linalg.norm(scale * found @ R.T + shift - truth, axis=-1))
