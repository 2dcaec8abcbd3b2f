"""The member `covariance`: what a detector claims of each point's error."""

import numpy as np
import pytest

from pose_obj_3d import lift_tracks
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.lenses import FISHEYE, PINHOLE, distort, inverted, undistorted_covariance
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from pose_obj_3d.lifting.tracks_from_file import load_own, part
from tests.unit.pose_obj_3d.lifting.track_scenes import assert_one_line, call, members, write


def claimed(shape, rng, spread=4.0):
    """Return covariances (..., 2, 2) [px^2] with deviations from 1 to `spread` px."""
    sd = np.exp(rng.uniform(0, np.log(spread), (*shape, 2)))
    rho = rng.uniform(-0.8, 0.8, shape)
    off = rho * sd[..., 0] * sd[..., 1]
    rows = [np.stack([sd[..., 0] ** 2, off], -1), np.stack([off, sd[..., 1] ** 2], -1)]
    return np.stack(rows, -2)


@pytest.fixture(scope="module")
def claims():
    m = members(missing=0.05, views=3)
    return claimed(m["points"].shape[:3], np.random.default_rng(1))


def scene(claims=None, **options):
    """Return members whose errors are as claimed."""
    m = members(outliers=0.0, views=3, **options)
    if claims is not None:
        rng = np.random.default_rng(2)
        root = np.linalg.cholesky(claims)
        error = (root @ rng.normal(size=(*claims.shape[:-1], 1)))[..., 0]
        m = {**m, "points": m["points"] + error, "covariance": claims}
    return m


def refusal(tmp_path, m):
    with pytest.raises(DataError) as caught:
        read_tracks(write(tmp_path / "t.npz", **m))
    text = str(caught.value)
    assert len(text) < 500
    assert "\n" not in text
    return text


def test_claims_weigh_points_beside_the_median_of_their_camera(tmp_path, claims):
    m = scene(claims, missing=0.0)
    m["covariance"] = claims.copy()
    m["covariance"][0, 0, 0] = np.nan
    file = read_tracks(write(tmp_path / "t.npz", **m))
    variance = np.trace(claims, axis1=-2, axis2=-1)
    expected = np.nanmedian(variance[1]) / variance[1]
    np.testing.assert_allclose(file.confidence[1], expected)
    assert file.confidence[0, 0, 0] == 1
    assert "1 points have no covariance" in file.notes[0]
    np.testing.assert_allclose(file.covariance[1:], claims[1:])
    assert np.isnan(file.covariance[0, 0, 0]).all()


def test_tracks_carry_the_claims(tmp_path, claims):
    m = scene(claims)
    tracks = load_own(read_tracks(write(tmp_path / "t.npz", **m))).tracks
    seen = np.isfinite(m["points"]).all(-1)
    found = tracks.claims.numpy().transpose(1, 0, 2, 3, 4)
    np.testing.assert_allclose(found[seen], claims[seen], rtol=1e-5)
    assert np.isnan(found[~seen]).all()
    assert np.array_equal(part(tracks, 5, 9).claims, tracks.claims[5:9], equal_nan=True)
    without = load_own(read_tracks(write(tmp_path / "u.npz", **scene())))
    assert without.tracks.claims is None


# The most probable track finds exact detections without claims, too, so it gains less by them.
@pytest.mark.parametrize(("keep", "gain"), [("smoother", 0.9), ("map", 0.97)])
def test_claims_make_points_better(claims, keep, gain):
    m = scene(claims)
    errors = []
    for covariance in (None, claims, 9 * claims):
        given = {**m, "covariance": covariance}
        result = lift_tracks(**{k: v for k, v in given.items() if v is not None}, keep=keep)
        errors.append(np.nanmean(np.linalg.norm(result.points - m["truth"], axis=-1)))
    assert errors[1] < gain * errors[0]
    assert errors[2] == pytest.approx(errors[1], rel=1e-6)  # only how they compare counts


def test_a_covariance_of_equal_numbers_changes_nothing():
    m = scene()
    same = np.broadcast_to(4 * np.eye(2), (*m["points"].shape, 2))
    a, b = lift_tracks(**m), lift_tracks(**m, covariance=same)
    np.testing.assert_array_equal(a.points, b.points)


@pytest.mark.parametrize("lens", [PINHOLE, FISHEYE])
def test_claims_are_undistorted_with_their_points(lens):
    rng = np.random.default_rng(0)
    K = np.array([[300.0, 0, 128], [0, 300, 128], [0, 0, 1]])
    D = np.zeros(14)
    D[:4] = [-0.25, 0.08, 0, 0]
    ideal = np.array([[128.0, 128], [20, 30], [230, 128]])
    measured = distort(ideal, K, D, lens)
    small = claimed((3,), rng) * 1e-4
    found = undistorted_covariance(small, ideal, K, D, lens)
    for n in range(3):
        drawn = rng.multivariate_normal(measured[n], small[n], 4000)
        np.testing.assert_allclose(
            np.cov(inverted(drawn, K, D, lens).T), found[n], rtol=0.12, atol=0.05 * found[n].max()
        )


def put(claims, value):
    changed = claims.copy()
    changed[1, 2, 3] = value
    return changed


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([[1, 0.5], [0.2, 1]], "is not symmetric"),
        ([[1, 2], [2, 1]], "is not positive definite"),
        ([[0, 0], [0, 1]], "is not"),
        ([[-1, 0], [0, 1]], "is not"),
        ([[1, np.nan], [np.nan, 1]], "is not symmetric"),
        ([[np.inf, 0], [0, np.inf]], "outside 0.001 to 1e+06 px"),
        ([[1e-8, 0], [0, 1e-8]], "outside 0.001 to 1e+06 px"),
    ],
)
def test_what_is_no_covariance(tmp_path, claims, value, message):
    m = scene(missing=0.0)
    text = refusal(tmp_path, {**m, "covariance": put(claims, value)})
    assert message in text
    assert "at view 1, frame 2, keypoint 3" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x.transpose(1, 0, 2, 3, 4), "save covariance.transpose(1, 0, 2, 3, 4)"),
        (lambda x: x.transpose(2, 1, 0, 3, 4), "save covariance.transpose(2, 1, 0, 3, 4)"),
        (lambda x: x[..., 0], "a matrix for each of the points: [[var x"),
        (lambda x: x[:, :-1], "needed is"),
        (lambda x: x.astype(str), "covariance must hold numbers"),
    ],
)
def test_covariances_of_another_shape(tmp_path, claims, change, message):
    m = scene()
    assert message in refusal(tmp_path, {**m, "covariance": change(claims)})


def test_points_and_covariances_in_another_order(tmp_path, claims):
    m = scene()
    m |= {"points": m["points"].transpose(1, 0, 2, 3)}
    m |= {"covariance": claims.transpose(1, 0, 2, 3, 4)}
    text = refusal(tmp_path, m)
    assert "save points.transpose(1, 0, 2, 3); covariance likewise" in text


def test_claims_of_missing_points_are_not_looked_at(tmp_path, claims):
    m = scene()
    m["points"][1, 2, 3] = np.nan
    m["covariance"] = put(claims, [[0, 0], [0, 0]])
    assert read_tracks(write(tmp_path / "t.npz", **m)).confidence[1, 2, 3] == 0


def test_the_command_says_it_in_one_line(tmp_path, claims, capsys):
    m = scene(missing=0.0)
    path = write(tmp_path / "t.npz", **m, covariance=put(claims, [[1, 2], [2, 1]]))
    assert call(path) == 2
    assert_one_line(capsys, "covariance is not positive definite")
