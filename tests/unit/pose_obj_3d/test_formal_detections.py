"""Archives with detections: round trip, version, and one clear error for each fault."""

import json

import numpy as np
import pytest

from pose_obj_3d.common.archive.detections import claimed_covariance
from pose_obj_3d.common.errors import MAX_MESSAGE, FormalError
from pose_obj_3d.formal import (
    DETECTED_SD,
    DETECTED_UV,
    DETECTION_CHANNELS,
    read_formal,
    rounded_detections,
    tasks_in,
    write_formal,
)
from tests.unit.pose_obj_3d.synthetic import write_scene

FIRST = "detections/T0/exemple_0"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("v2") / "a.npz", (0, 9), 3, 6, detected=True)


@pytest.fixture
def members(path):
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def save(folder, members):
    np.savez_compressed(folder / "b.npz", **members)
    return folder / "b.npz"


def with_meta(members, **changes):
    meta = {**json.loads(str(members["meta"])), **changes}
    kept = {k: v for k, v in meta.items() if v is not None}
    return {**members, "meta": np.array(json.dumps(kept))}


def refused(path):
    with pytest.raises(FormalError) as found:
        read_formal(path)
    text = str(found.value)
    assert len(text) < MAX_MESSAGE
    assert "\n" not in text
    return text


def test_round_trip_keeps_every_value(path, tmp_path):
    data = read_formal(path)
    assert data.meta["format_version"] == 2
    assert {t: len(x) for t, x in data.detections.items()} == {0: 3, 9: 3}
    assert data.detections[9][1].shape == (*data.tracks[9][1].shape[:3], len(DETECTION_CHANNELS))
    assert data.exchangeable(9) == [["waypoints/waypoint0", "waypoints/waypoint1"]]
    copy = tmp_path / "copy.npz"
    parts = (data.tracks, data.meta, data.intrinsics, data.extrinsics)
    write_formal(copy, *parts, detections=data.detections)
    assert copy.read_bytes() == path.read_bytes()
    assert tasks_in(copy) == [0, 9]


def test_without_optional_members_it_is_version_1_byte_for_byte(path, tmp_path):
    data = read_formal(path)
    optional = ("detections", "exchangeable", "format_version")
    meta = {k: v for k, v in data.meta.items() if k not in optional}
    parts = (data.tracks, meta, data.intrinsics, data.extrinsics)
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    write_formal(a, *parts)
    write_formal(b, *parts, detections={})
    members = {"meta": np.array(json.dumps({**meta, "format_version": 1}, sort_keys=True))}
    members |= {"intrinsics": data.intrinsics, "extrinsics": data.extrinsics}
    members |= {
        f"T{t}/exemple_{n}": np.asfortranarray(x)
        for t, xs in data.tracks.items()
        for n, x in enumerate(xs)
    }
    assert a.read_bytes() == b.read_bytes() == save(tmp_path / "..", members).read_bytes()
    assert read_formal(a).detections == {}


def test_one_task_may_have_detections_alone(members, tmp_path):
    kept = {k: v for k, v in members.items() if not k.startswith("detections/T9/")}
    assert sorted(read_formal(save(tmp_path, kept)).detections) == [0]


def test_keypoints_that_look_alike_need_no_detections(path, tmp_path):
    data = read_formal(path)
    meta = {k: v for k, v in data.meta.items() if k != "detections"}
    write_formal(tmp_path / "b.npz", data.tracks, meta, data.intrinsics, data.extrinsics)
    assert read_formal(tmp_path / "b.npz").meta["format_version"] == 2


def put(x, channel, value):
    changed = x.copy()
    changed[1, 2, 3, channel] = value
    return changed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: put(x, slice(0, 2), np.nan), ""),  # nothing detected
        (lambda x: put(x, slice(2, 5), np.nan), ""),  # no claim
        (lambda x: put(x, 0, np.nan), "u and v must be"),
        (lambda x: put(x, 1, np.inf), "u and v must be"),
        (lambda x: put(x, 2, 0), "not positive definite"),
        (lambda x: put(x, 3, -1), "not positive definite"),
        (lambda x: put(x, 2, np.nan), "not positive definite"),
        (lambda x: put(x, 2, 1e-30), "not positive definite"),
        (lambda x: put(x, 4, 1), "not positive definite"),
        (lambda x: put(x, 4, -1.5), "not positive definite"),
        (lambda x: put(x, 4, np.nan), "not positive definite"),
        (lambda x: put(x, 5, 1.01), "probabilities from 0 to 1"),
        (lambda x: put(x, 6, -0.01), "probabilities from 0 to 1"),
        (lambda x: put(x, 6, np.nan), "probabilities from 0 to 1"),
        (lambda x: x.astype(np.float64), "must be float32"),
        (lambda x: x[..., :6], "must be float32"),
        (lambda x: x[:, :-1], "must be float32"),
        (lambda x: x[:, :, :1], "must be float32"),
    ],
)
def test_numbers_of_a_detector(members, tmp_path, change, message):
    path = save(tmp_path, {**members, FIRST: change(members[FIRST])})
    if not message:
        read_formal(path)
        return
    text = refused(path)
    assert FIRST in text
    assert message in text
    if "float32" not in message:
        assert "view 1, frame 2, keypoint 3" in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 1}, "belongs to format version 2"),
        ({"format_version": 4}, "format version 4, this program reads 1 to 3"),
        ({"detections": None}, "must name the detector"),
        ({"detections": {}}, 'name of the "detector"'),
        ({"detections": {"detector": "a", "labelled_frames": -1}}, "labelled_frames"),
        ({"detections": {"detector": "a", "folds": {"9": {}}}}, "folds"),
        ({"detections": {"detector": "a", "folds": {"T9": [1]}}}, "folds of T9"),
        ({"detections": {"detector": "a", "folds": {"T9": {"1": "x"}}}}, "folds of T9"),
        ({"detections": {"detector": "a", "folds": {"T9": {"7": 0}}}}, "example 7"),
        ({"exchangeable": []}, "exchangeable must be"),
        ({"exchangeable": {"T9": [["waypoints/waypoint0"]]}}, "exchangeable of T9"),
        ({"exchangeable": {"T9": [["waypoints/waypoint0", "robot/nose"]]}}, "'robot/nose'"),
        ({"exchangeable": {"T9": [["robot/tip", "robot/tip"]]}}, "'robot/tip'"),
        ({"exchangeable": {"T9": [["robot/tip", ["a"]]]}}, "a list of 1"),
        ({"exchangeable": {"T8": [["robot/tip", "objects/block"]]}}, "exchangeable of T8"),
    ],
)
def test_meta_of_a_detector(members, tmp_path, changes, message):
    assert message in refused(save(tmp_path, with_meta(members, **changes)))


def test_examples_without_detections_and_detections_without_example(members, tmp_path):
    fewer = {k: v for k, v in members.items() if k != "detections/T9/exemple_1"}
    assert "detections/T9/exemple_1: these detections are missing" in refused(save(tmp_path, fewer))
    more = {**members, "detections/T9/exemple_3": members[FIRST]}
    assert "exemple_3: these detections have no track" in refused(save(tmp_path, more))
    other = {**members, "detections/T8/exemple_0": members[FIRST]}
    assert "T8/exemple_0: these detections have no track" in refused(save(tmp_path, other))
    none = {k: v for k, v in members.items() if not k.startswith("detections/")}
    assert "there are no members detections/" in refused(save(tmp_path, none))


def test_bad_detections_are_not_written(path, tmp_path):
    data = read_formal(path)
    parts = (data.tracks, data.meta, data.intrinsics, data.extrinsics)
    wrong = {0: [np.full_like(x, -1) for x in data.detections[0]]}
    for given in (wrong, {0: data.detections[0][:2]}, {5: data.detections[0]}, None):
        with pytest.raises(FormalError):
            write_formal(tmp_path / "b.npz", *parts, detections=given)
    assert list(tmp_path.iterdir()) == []


def test_rounded_detections_stay_valid_and_near(path, tmp_path):
    data = read_formal(path)
    x = data.detections[0][0].copy()
    x[0, 0] = np.nan
    x[0, 0, :, 5:] = 0.5
    x[1, 1, :, 4] = [0.9999999, -0.9999999, 0.5, 0]
    small = rounded_detections(x)
    data.detections[0][0] = small
    parts = (data.tracks, data.meta, data.intrinsics, data.extrinsics)
    write_formal(tmp_path / "b.npz", *parts, detections=data.detections)
    assert np.nanmax(np.abs(small[..., DETECTED_UV] - x[..., DETECTED_UV])) <= 1 / 32
    ratio = small[..., DETECTED_SD] / x[..., DETECTED_SD]
    assert np.nanmax(np.abs(np.log2(ratio))) <= 1 / 16 + 1e-6
    np.testing.assert_array_equal(np.isnan(small), np.isnan(x))


def test_claimed_covariance():
    x = np.array([10, 20, 2, 3, -0.5, 1, 1], np.float32)
    np.testing.assert_allclose(claimed_covariance(x), [[4, -3], [-3, 9]])
    x[4] = np.nextafter(np.float32(1), np.float32(0))
    assert np.linalg.eigvalsh(claimed_covariance(x)).min() > 0
    x[2:4] = np.nan
    assert np.isnan(claimed_covariance(x)).all()
