"""What is wrong with a file or a flag is said in one line, before anything is written."""

import numpy as np
import pytest

from tests.unit.pose_obj_3d.lifting.track_scenes import assert_one_line, call, members, write
from tests.unit.pose_obj_3d.synthetic import IMAGE, damage

BAD = {
    "no points": (lambda m: m.pop("points"), "key 'points' is missing"),
    "near miss": (
        lambda m: m.update(intrinsic=1),
        "key 'intrinsic' is unknown; did you mean intrinsics?",
    ),
    "third coordinate": (
        lambda m: m.update(points=np.zeros((4, 9, 2, 3))),
        "if the third column is a score",
    ),
    "infinite": (
        lambda m: m["points"].__setitem__((0, 0, 0), np.inf),
        "points has infinite values",
    ),
    "pickle": (
        lambda m: m.update(keypoint_names=np.array(["a", None], dtype=object)),
        "keypoint_names is a pickled object array",
    ),
    "confidence shape": (
        lambda m: m.update(confidence=np.ones((4, 3, 4))),
        "confidence must hold numbers of shape (4 views, 120 frames, 4 keypoints)",
    ),
    "confidence range": (
        lambda m: m.update(confidence=np.full((4, 120, 4), 50.0)),
        "confidence must lie in 0..1, found 50 to 50",
    ),
    "intrinsics count": (
        lambda m: m.update(intrinsics=m["intrinsics"][:3]),
        "intrinsics must hold numbers of shape (4 views, 3, 3)",
    ),
    "transposed": (
        lambda m: m.update(intrinsics=m["intrinsics"].transpose(0, 2, 1)),
        "is it transposed?",
    ),
    "focal": (
        lambda m: m["intrinsics"].__setitem__((1, 0, 0), -350),
        "intrinsics of right_shoulder has a focal length <= 0",
    ),
    "skew": (
        lambda m: m["intrinsics"].__setitem__((1, 0, 1), 3),
        "intrinsics of right_shoulder has a skew",
    ),
    "scaled": (
        lambda m: m["extrinsics"].__setitem__(2, 2 * m["extrinsics"][2]),
        "extrinsics of overhead have no rotation",
    ),
    "mirrored": (
        lambda m: m["extrinsics"].__setitem__((2, 0), -m["extrinsics"][2, 0]),
        "extrinsics of overhead mirror the world",
    ),
    "nan": (
        lambda m: m["extrinsics"].__setitem__((2, 0, 3), np.nan),
        "extrinsics of overhead are not finite",
    ),
    "distortion count": (
        lambda m: m.update(distortion=np.zeros((4, 6))),
        "distortion must hold numbers of shape (4 views, 4 or 5 or 8 or 12 or 14)",
    ),
    "units": (lambda m: m.update(units=np.array("cm")), "units is 'cm'; allowed: m, mm"),
    "names": (
        lambda m: m.update(keypoint_names=np.array(["a", "a", "b", "c"])),
        "keypoint_names must be 4 different names",
    ),
    "one id twice": (
        lambda m: m.update(keypoint_names=np.array(["a", "b", "points/a", "own/points/b"])),
        "keypoint_names 'a' and 'points/a' both mean own/points/a",
    ),
    "starts": (
        lambda m: m.update(sequence_starts=np.array([5, 40])),
        "sequence_starts must be ascending whole numbers from 0 below 120",
    ),
    "fps": (lambda m: m.update(fps=np.array(0.0)), "fps must be above 0"),
    "truth": (
        lambda m: m.update(truth=np.zeros((3, 4, 3))),
        "truth must hold numbers of shape (120 frames, 4 keypoints, 3)",
    ),
    "size": (lambda m: m.update(image_size=np.array([0, 256])), "image_size must be positive"),
    "one view": (
        lambda m: m.update(
            points=m["points"][:1],
            intrinsics=m["intrinsics"][:1],
            extrinsics=m["extrinsics"][:1],
            camera_names=np.array(["a"]),
        ),
        "only one view: a",
    ),
    "nothing seen": (
        lambda m: m["points"].__setitem__(slice(1, None), np.nan),
        "no keypoint is seen by two views",
    ),
    "normalised": (lambda m: m.update(points=m["points"] / IMAGE), "the points look normalised"),
    "empty": (lambda m: m.update(points=np.zeros((4, 0, 4, 2))), "points is empty"),
}


@pytest.mark.parametrize("name", list(BAD))
def test_bad_files(tmp_path, capsys, name):
    change, message = BAD[name]
    m = members()
    change(m)
    assert call(write(tmp_path / "tracks.npz", **m)) == 2
    assert_one_line(capsys, "tracks.npz", message)
    assert not (tmp_path / "tracks_3d").exists()


def test_bad_flags(tmp_path, capsys):
    path = write(tmp_path / "tracks.npz", **members(frames=30, sequences=1))
    for flags, message in (
        (["--views", "0", "left"], "--views: 'left' is not in"),
        (["--views", "0", "0"], "named twice"),
        (["--context", "track"], "belong to --train"),
        (["--checkpoint", str(path)], "not a readable checkpoint"),
        (["--sigma_px", "-1"], "allowed: one finite number > 0"),
        (["--sigma_px", "inf"], "allowed: one finite number > 0"),
    ):
        assert call(path, *flags) == 2
        assert_one_line(capsys, message)
    assert call(tmp_path / "none.npz") == 2
    assert_one_line(capsys, "none.npz: no such file")
    (tmp_path / "text.npz").write_text("no archive", encoding="utf-8")
    assert call(tmp_path / "text.npz") == 2
    assert_one_line(capsys, "text.npz: not an npz archive (no zip file)")
    damage(write(tmp_path / "damaged.npz", **members()))
    assert call(tmp_path / "damaged.npz") == 2
    assert_one_line(capsys, "damaged.npz: points cannot be read", "the file is damaged")
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert call(tmp_path / "one.npy") == 2
    assert_one_line(capsys, "not an npz archive")
    mm = write(tmp_path / "mm.npz", **members(), units=np.array("mm"))
    assert call(mm, "--units", "m") == 2
    assert_one_line(capsys, "--units m, but", "says 'mm'")


def test_too_few_frames_to_learn_from(tmp_path, capsys):
    path = write(tmp_path / "tracks.npz", **members(frames=30, sequences=1))
    assert call(path, "--train") == 2
    assert_one_line(capsys, "30 frames are too few", "leave --train out")
