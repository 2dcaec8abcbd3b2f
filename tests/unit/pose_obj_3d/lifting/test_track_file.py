"""Track files that are not as asked for: they are understood, or one line says what to do."""

import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.common.safe_reading.object_arrays import inner_shapes
from pose_obj_3d.geometry import lenses
from pose_obj_3d.geometry.lenses import distort, undistort
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, motion, project, rig

T, K = 40, 5
LINE = 500  # characters that a message may have


def members(seed=0, keypoints=K, frames=T):
    """What a plain file holds, without names: points float64 (4, T, K, 2)."""
    rng = np.random.default_rng(seed)
    intrinsics, extrinsics = rig()
    uv = project(
        motion(rng, frames, [k % 2 == 0 for k in range(keypoints)]), intrinsics, extrinsics
    )
    return {
        "points": uv + rng.normal(size=uv.shape),
        "intrinsics": intrinsics,
        "extrinsics": extrinsics,
    }


def written(path, **values):
    np.savez_compressed(path / "tracks.npz", **values)
    return path / "tracks.npz"


def refusal(path, **values):
    with pytest.raises(DataError) as caught:
        read_tracks(written(path, **values))
    assert len(str(caught.value)) < LINE
    assert "\n" not in str(caught.value)
    return str(caught.value)


ORDERS = {
    "frames first": (1, 0, 2, 3),
    "keypoints before frames": (0, 2, 1, 3),
    "keypoints first": (2, 1, 0, 3),
    "views last": (1, 2, 0, 3),
    "coordinates first": (3, 0, 1, 2),
    "keypoints, views, frames": (2, 0, 1, 3),
}


@pytest.mark.parametrize("order", list(ORDERS))
def test_another_order_of_axes_is_named_with_its_cure(tmp_path, order):
    m = members()
    wrong = m["points"].transpose(ORDERS[order])
    message = refusal(tmp_path, **{**m, "points": wrong}, keypoint_names=np.array(list("abcde")))
    cure = eval(message.split("save points.transpose")[1].split(")")[0] + ")")  # noqa: S307 - our own message
    np.testing.assert_array_equal(wrong.transpose(cure), m["points"])


def test_frames_and_keypoints_are_told_by_how_points_move(tmp_path):
    """Four cameras are calibrated, and nothing says how many keypoints there are."""
    m = members()
    message = refusal(tmp_path, **{**m, "points": m["points"].transpose(1, 0, 2, 3)})
    assert "(frames, views, keypoints, coordinates): save points.transpose(1, 0, 2, 3)" in message
    assert " or (" not in message.split("seems to be")[1]
    m["points"] = np.random.default_rng(0).uniform(0, IMAGE, (T, 4, K, 2))
    assert "save points.transpose(1, 0, 2, 3) or (keypoints, views" in refusal(tmp_path, **m)
    m = members()
    (note,) = read_tracks(
        written(tmp_path, **{**m, "points": m["points"].transpose(0, 2, 1, 3)})
    ).notes
    assert "save points.transpose(0, 2, 1, 3)" in note
    assert read_tracks(written(tmp_path, **m)).notes == []


@pytest.mark.parametrize("frames", [1, 4, 5])
def test_sizes_that_are_equal_mean_the_order_that_is_asked_for(tmp_path, frames):
    """Four views, four frames, four keypoints: the file is taken at its word."""
    m = members(keypoints=4, frames=frames)
    assert read_tracks(written(tmp_path, **m, keypoint_names=np.array(list("abcd")))).notes == []


def test_scores_and_flat_rows(tmp_path):
    m = members()
    with_scores = np.concatenate([m["points"], np.ones((4, T, K, 1))], -1)
    assert "confidence=points[..., 2]" in refusal(tmp_path, **{**m, "points": with_scores})
    assert f"points.reshape(4, {T}, {K}, 2)" in refusal(
        tmp_path, **{**m, "points": m["points"].reshape(4, T, 2 * K)}
    )
    assert "points[:, :, None]" in refusal(tmp_path, **{**m, "points": m["points"][:, :, 0]})


def ragged(*lengths, keypoints=K):
    views = np.empty(len(lengths), object)
    for v, n in enumerate(lengths):
        views[v] = np.zeros((n, keypoints if v else K, 2), np.float32)
    return views


def test_views_of_different_lengths(tmp_path):
    m = members()
    message = refusal(tmp_path, **{**m, "points": ragged(40, 40, 39, 70_000)})
    for words in (
        "points holds views of different numbers of frames",
        "view 0 (40, 5, 2)",
        "view 2 (39, 5, 2)",
        "view 3 (70000, 5, 2)",
        "fill up with NaN",
    ):
        assert words in message
    assert "different numbers of keypoints" in refusal(
        tmp_path, **{**m, "points": ragged(40, 40, keypoints=6)}
    )
    assert "of 3 equal arrays (40, 5, 2)" in refusal(
        tmp_path, **{**m, "points": ragged(40, 40, 40)}
    )
    lists = np.empty(2, object)
    lists[:] = [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]]
    assert "views of different lengths" in refusal(tmp_path, **{**m, "points": lists})
    many = refusal(tmp_path, **{**m, "points": ragged(*range(1000, 1040))})
    assert "view 7 (1007, 5, 2), ..." in many


class Trap:
    """Pickled, it would make a file on being loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_an_object_array_is_never_unpickled(tmp_path):
    trap = np.empty(2, object)
    trap[:] = [Trap(str(tmp_path / "sprung")), np.zeros((3, K, 2))]
    assert "object array" in refusal(tmp_path, **{**members(), "points": trap})
    assert not (tmp_path / "sprung").exists()


def test_a_damaged_object_array_has_no_shapes(tmp_path):
    """Cut, overwritten or endless pickles end at once."""
    path = written(tmp_path, points=ragged(40, 39))
    with zipfile.ZipFile(path) as archive:
        raw = archive.read("points.npy")
    rng = np.random.default_rng(0)
    for n in range(60):
        changed = bytearray(raw[: rng.integers(1, len(raw))] if n % 2 else raw)
        for at in rng.integers(0, min(len(changed), 400), 3):
            changed[at] = rng.integers(256)
        with zipfile.ZipFile(tmp_path / "damaged.npz", "w") as archive:
            archive.writestr("points.npy", bytes(changed))
        assert len(inner_shapes(tmp_path / "damaged.npz", "points")) <= 64
    with zipfile.ZipFile(tmp_path / "long.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.npy", raw[:128] + b"N" * (8 << 20))
    assert inner_shapes(tmp_path / "long.npz", "points") == []


LENS = np.array([-0.45, 0.2, 0.0, 0.0])  # strong: (0, 0) has no inverse
MARKERS = {
    "zero": (0, 0),
    "minus one": (-1, -1),
    "far": (-9999, -9999),
    "huge": (1e9, 1e9),
    "constant": (128.0, 12.5),
    "nan": (np.nan, 30.0),
}


@pytest.mark.parametrize("marker", list(MARKERS))
@pytest.mark.parametrize("is_distorted", [False, True])
def test_markers_of_missing_points(tmp_path, marker, is_distorted):
    m = members()
    if is_distorted:
        m["points"] = np.stack(
            [
                distort(p.reshape(-1, 2), k, LENS).reshape(T, K, 2)
                for p, k in zip(m["points"], m["intrinsics"], strict=True)
            ]
        )
        m["distortion"] = np.tile(LENS, (4, 1))
    is_missing = np.random.default_rng(1).random(m["points"].shape[:-1]) < 0.2
    m["points"][is_missing] = MARKERS[marker]
    file = read_tracks(written(tmp_path, **m, camera_names=np.array(NAMES)))
    (note,) = file.notes
    assert f"({is_missing.sum()} " in note
    assert len(note) < LINE
    np.testing.assert_array_equal(np.isnan(file.points).any(-1), is_missing)
    np.testing.assert_array_equal(file.confidence == 0, is_missing)


def test_markers_of_confidence_zero_are_not_news(tmp_path):
    m = members()
    is_missing = np.random.default_rng(1).random(m["points"].shape[:-1]) < 0.2
    m["points"][is_missing] = 0
    assert (
        read_tracks(written(tmp_path, **m, confidence=np.where(is_missing, 0.0, 1.0))).notes == []
    )


@pytest.mark.parametrize("keypoints", [1, 2, 5, 12])
@pytest.mark.parametrize("rounded", [1.0, 4.0, 16.0])
def test_rounded_points_are_no_markers(tmp_path, keypoints, rounded):
    """Still keypoints of a detector that rounds come back to the same pixels."""
    m = members(keypoints=keypoints, frames=150)
    m["points"] = np.round(m["points"] / rounded) * rounded
    assert read_tracks(written(tmp_path, **m)).notes == []


def test_one_camera_without_a_detector_in_it(tmp_path):
    """One view is the constant point for most of its frames."""
    m = members()
    m["points"][2, 5:25] = (64.0, 64.0)
    (note,) = read_tracks(written(tmp_path, **m)).notes
    assert "100 at (64, 64)" in note


def test_a_constant_point_of_one_keypoint_in_one_camera(tmp_path):
    m = members()
    m["points"][2, ::4, 0] = (64.0, 64.0)
    (note,) = read_tracks(written(tmp_path, **m)).notes
    assert "10 at (64, 64)" in note


def test_two_still_keypoints_that_are_exchanged_at_times_are_no_markers(tmp_path):
    """An exact tracker of still points repeats two places in both tracks."""
    m = members()
    m["points"][:, :, :] = m["points"][:, :1]
    flips = np.random.default_rng(0).random(T) < 0.4
    m["points"][0, flips] = m["points"][0, flips][:, [1, 0, 2, 3, 4]]
    assert read_tracks(written(tmp_path, **m)).notes == []


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (1.0000001, "clipped"),
        (1.3, "clipped"),
        (-1e-4, "clipped"),
        (np.nan, "NaN as confidence"),
    ],
)
def test_scores_a_little_outside(tmp_path, value, words):
    m = members()
    m["confidence"] = np.full((4, T, K), 0.5)
    m["confidence"][0, 0, :3] = value
    file = read_tracks(written(tmp_path, **m))
    (note,) = file.notes
    assert "3 " in note
    assert words in note
    np.testing.assert_array_equal(file.confidence[0, 0, :3], 1.0 if value > 1 else 0.0)
    assert file.confidence[0, 0, 3] == 0.5


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (87.0, "found 0.5 to 87 (1 of 800 outside); divide by 100"),
        (-1.0, "found -1 to 0.5 (1 of 800 outside); write 0 where missing"),
        (np.inf, "found 0.5 to inf"),
        (1e4, "rescale it"),
    ],
)
def test_scores_far_outside(tmp_path, value, words):
    m = members()
    m["confidence"] = np.full((4, T, K), 0.5)
    m["confidence"][0, 0, 0] = value
    assert words in refusal(tmp_path, **m)


FISHEYE = np.array([0.05, -0.02, 0.01, -0.004])
WIDE = np.array([[120.0, 0, 128], [0, 122, 130], [0, 0, 1]])


@pytest.mark.parametrize(
    "k", [FISHEYE, np.array([-0.1, 0.02, 0, 0]), np.array([0.3, -0.1, 0.02, 0]), np.zeros(4)]
)
def test_the_fisheye_model_is_that_of_opencv(k):
    rng = np.random.default_rng(0)
    angle, turn = np.deg2rad(rng.uniform(0, 84, 400)), rng.uniform(0, 2 * np.pi, 400)
    rays = np.stack([np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.cos(angle)], -1)
    seen = cv2.fisheye.projectPoints(rays[:, None], np.zeros(3), np.zeros(3), WIDE, k)[0].reshape(
        -1, 2
    )
    ideal = rays @ WIDE.T
    ideal = ideal[:, :2] / ideal[:, 2:]
    full = np.concatenate([k, np.zeros(10)])
    np.testing.assert_allclose(distort(ideal, WIDE, full, "fisheye"), seen, atol=1e-9)
    np.testing.assert_allclose(
        undistort("x", seen[None, None], WIDE[None], full[None], ["a"], ["fisheye"])[0, 0],
        ideal,
        atol=1e-6,
    )


def test_fisheye_precision_is_that_of_the_pixels():
    """How far undistorted points spread for one pixel: root mean square of both directions."""
    full = np.concatenate([FISHEYE, np.zeros(10)])
    rng = np.random.default_rng(0)
    at = np.array([WIDE[:2, 2] + [0, 0], WIDE[:2, 2] + [90, -60.0], WIDE[:2, 2] + [-150, 20.0]])
    noise = rng.normal(size=(20000, 2)) * 1e-3
    spread = [
        (
            (
                lenses.inverted(p + noise, WIDE, full, "fisheye")
                - lenses.inverted(p[None], WIDE, full, "fisheye")
            )
            ** 2
        ).mean()
        for p in at
    ]
    expected = spread[0] / np.array(spread)
    np.testing.assert_allclose(
        lenses.precision(lenses.inverted(at, WIDE, full, "fisheye"), WIDE, full),
        expected,
        rtol=0.05,
    )


def fisheye_members():
    m = members()
    full = np.concatenate([FISHEYE, np.zeros(10)])
    m["points"] = np.stack(
        [
            distort(p.reshape(-1, 2), k, full, "fisheye").reshape(T, K, 2)
            for p, k in zip(m["points"], m["intrinsics"], strict=True)
        ]
    )
    return m | {"distortion": np.tile(FISHEYE, (4, 1))}


def test_a_file_of_fisheye_cameras(tmp_path):
    m = fisheye_members()
    file = read_tracks(written(tmp_path, **m, lens=np.array("fisheye")))
    np.testing.assert_allclose(file.points, members()["points"], atol=1e-6)
    assert file.lenses == ["fisheye"] * 4
    assert 0.6 < file.confidence.min() < file.confidence.max() <= 1
    mixed = np.array(["fisheye", "pinhole", "pinhole", "fisheye"])
    assert read_tracks(written(tmp_path, **m, lens=mixed), views=["3", "2"]).lenses == [
        "fisheye",
        "pinhole",
    ]


def test_bad_lenses(tmp_path):
    m = fisheye_members()
    assert "lens must be pinhole or fisheye" in refusal(tmp_path, **m, lens=np.array("fish-eye"))
    assert "for each of 4 views" in refusal(tmp_path, **m, lens=np.array(["fisheye", "pinhole"]))
    assert "found 5 in distortion" in refusal(
        tmp_path, **{**m, "distortion": np.ones((4, 5))}, lens=np.array("fisheye")
    )
    del m["distortion"]
    assert "there is no distortion" in refusal(tmp_path, **m, lens=np.array("fisheye"))


def test_fisheye_coefficients_given_as_those_of_a_pinhole(tmp_path):
    """A wide fisheye's points have no inverse in the other model."""
    m = members()
    m["intrinsics"][:, [0, 1], [0, 1]] = 90.0
    k = np.array([-0.029, -0.059, 0.086, 0.004])
    rng = np.random.default_rng(0)
    m["points"] = rng.uniform(20, 236, (4, T, K, 2))
    message = refusal(tmp_path, **m, distortion=np.tile(k, (4, 1)))
    assert "add lens='fisheye'" in message
    assert (
        read_tracks(
            written(tmp_path, **m, distortion=np.tile(k, (4, 1)), lens=np.array("fisheye"))
        ).confidence.min()
        >= 0
    )


CASES = Path(__file__).resolve().parents[5] / "shared" / "cases"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("axes_TVK", "save points.transpose(1, 0, 2, 3)"),
        ("frame_counts_differ", "view 2 (119, 5, 2)"),
    ],
)
def test_files_of_others(name, words):
    path = CASES / f"{name}.npz"
    if not path.is_file():
        pytest.skip(f"no {path}")
    with pytest.raises(DataError, match="needed is|All need the same") as caught:
        read_tracks(path)
    assert words in str(caught.value)
