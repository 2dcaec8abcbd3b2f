"""LeRobot data sets become archives: other people's names, files and gaps."""

import json

import numpy as np
import pytest

from pose_obj_3d import import_lerobot
from pose_obj_3d.formal import read_formal

pa = pytest.importorskip("pyarrow", reason="pyarrow is an optional package")
pq = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional package")

WIDTH, HEIGHT, K, T, EPISODES = 320, 240, 4, 6, 3
NAMES = ("left", "right", "top")
PROGRAM = ("--uv", "obs.kp_{camera}", "--intrinsics", "obs.K_{camera}", "--extrinsics")
FOREIGN = (*PROGRAM, "obs.E_{camera}", "--image", "obs.image_{camera}")


def camera(angle):
    """Look at the origin from 2 m."""
    centre = np.array([2 * np.sin(angle), -2 * np.cos(angle), 0.6])
    z = -centre / np.linalg.norm(centre)
    x = np.cross(z, [0, 0, 1])
    x /= np.linalg.norm(x)
    R = np.stack([x, np.cross(z, x), z])
    intrinsics = np.array([[300, 0, WIDTH / 2], [0, 300, HEIGHT / 2], [0, 0, 1.0]])
    return intrinsics, np.c_[R, -R @ centre]


CAMERAS = {name: camera(a) for name, a in zip(NAMES, (-0.6, 0.0, 0.7), strict=True)}


def project(xyz, name):
    intrinsics, E = CAMERAS[name]
    image = (xyz @ E[:, :3].T + E[:, 3]) @ intrinsics.T
    return image[..., :2] / image[..., 2:]


def truth(episode):
    rng = np.random.default_rng(episode)
    return rng.uniform(-0.3, 0.3, (1, K, 3)) + np.linspace(0, 0.1, T)[:, None, None]


class DataSet:
    """A data set with other names than ours, to be changed before it is written."""

    def __init__(self, root):
        self.root = root
        self.columns = {
            "episode_index": [e for e in range(EPISODES) for _ in range(T)],
            "index": list(range(EPISODES * T)),
        }
        self.features = {}
        xyz = np.concatenate([truth(e) for e in range(EPISODES)])
        for name, (intrinsics, E) in CAMERAS.items():
            uv = project(xyz, name)
            uv = np.concatenate([uv, np.ones((*uv.shape[:-1], 1))], axis=-1)  # confidence
            self.add(f"obs.kp_{name}", uv)
            self.add(f"obs.K_{name}", np.broadcast_to(intrinsics, (len(xyz), 3, 3)))
            self.add(f"obs.E_{name}", np.broadcast_to(E, (len(xyz), 3, 4)).reshape(-1, 12))
            self.features[f"obs.image_{name}"] = {"dtype": "video", "shape": [HEIGHT, WIDTH, 3]}
        self.info = {"codebase_version": "v3.0", "fps": 30}

    def add(self, name, values, **more):
        self.features[name] = {"dtype": "float32", "shape": list(values.shape[1:]), **more}
        self.columns[name] = np.asarray(values, np.float32).tolist()

    def write(self):
        for folder in ("data/chunk-000", "meta/episodes/chunk-000"):
            (self.root / folder).mkdir(parents=True)
        # One episode lies in two row groups, as it may.
        pq.write_table(
            pa.table(self.columns), self.root / "data/chunk-000/file-000.parquet", row_group_size=5
        )
        rows = {
            "episode_index": list(range(EPISODES)),
            "length": [T] * EPISODES,
            "tasks": [["push it"], ["pull it"], ["push it"]],
        }
        pq.write_table(pa.table(rows), self.root / "meta/episodes/chunk-000/file-000.parquet")
        info = {**self.info, "features": self.features}
        (self.root / "meta/info.json").write_text(json.dumps(info))
        return self.root


@pytest.fixture
def data(tmp_path):
    return DataSet(tmp_path / "data")


@pytest.fixture
def run(tmp_path, capsys):
    """Run the command; return its exit code, what it says, and the archive."""

    def go(root, *flags):
        output = tmp_path / "out" / "archive.npz"
        code = import_lerobot.main([str(root), "--output", str(output), *map(str, flags)])
        said = capsys.readouterr()
        return code, (said.out + said.err).strip(), read_formal(output) if not code else None

    return go


def test_positions_are_triangulated(data, run):
    code, said, archive = run(data.write(), *FOREIGN, "--task_name", "push")
    assert code == 0
    assert "push 3 examples, 3 views" in said
    assert "triangulated" in said
    assert archive.image_size == (WIDTH, HEIGHT)
    assert archive.camera_names == list(NAMES)
    assert archive.frame_period_s == pytest.approx(1 / 30)
    assert archive.meta["descriptions"]["T0"] == ["push it", "pull it", "push it"]
    assert archive.meta["truth"] == "triangulated from the detections"
    for e, track in enumerate(archive.tracks[0]):
        np.testing.assert_allclose(track[0, ..., 4:7], truth(e), atol=1e-4)
        for v, name in enumerate(NAMES):
            np.testing.assert_allclose(track[v, ..., 2:4], project(truth(e), name), atol=1e-2)


def test_missing_detections_are_missing_and_what_is_between_is_filled(data, run):
    for name in ("left", "top"):
        points = np.array(data.columns[f"obs.kp_{name}"])
        points[2, 1] = 0  # a confidence of 0
        data.columns[f"obs.kp_{name}"] = points.tolist()
    _, _, archive = run(data.write(), *FOREIGN)
    track = archive.tracks[0][0]
    assert np.isnan(track[[0, 2], 2, 1, 2:4]).all()
    assert track[:, 2, 1, 7].tolist() == [0.5, 1, 0.5]
    np.testing.assert_allclose(track[0, 2, 1, 4:7], truth(0)[2, 1], atol=1e-4)


def test_a_file_may_hold_the_calibration(data, run, tmp_path):
    for name in NAMES:
        for kind in ("K", "E"):
            del data.features[f"obs.{kind}_{name}"], data.columns[f"obs.{kind}_{name}"]
    path = tmp_path / "cameras.json"
    path.write_text(
        json.dumps(
            {
                name: {
                    "intrinsics": intrinsics.tolist(),
                    "extrinsics": E.tolist(),
                    "image_size": [WIDTH, HEIGHT],
                }
                for name, (intrinsics, E) in CAMERAS.items()
            }
        )
    )
    flags = ("--uv", "obs.kp_{camera}", "--calibration", path, "--cameras", "left", "top")
    code, _, archive = run(data.write(), *flags, "--keypoints", "point2")
    assert code == 0
    assert archive.keypoint_names(0) == ["objects/point2"]
    assert archive.tracks[0][0].shape == (2, T, 1, 8)


def test_given_positions_are_kept(data, run):
    xyz = np.concatenate([truth(e) for e in range(EPISODES)]) + 0.001
    data.add("xyz", xyz)
    _, said, archive = run(data.write(), *FOREIGN, "--xyz", "xyz")
    assert "triangulated" not in said
    np.testing.assert_allclose(archive.tracks[0][1][0, ..., 4:7], truth(1) + 0.001, atol=1e-6)
    assert archive.sigma_px > 0.05


def refused(code, said, *parts):
    assert code == 2
    assert len(said.splitlines()) == 1
    assert len(said) < 500
    for part in parts:
        assert part in said, said


def moves(data):
    E = np.array(data.columns["obs.E_left"])
    E[7, 3] += 0.1
    data.columns["obs.E_left"] = E.tolist()


def is_ragged(data):
    data.columns["obs.kp_top"][3] = data.columns["obs.kp_top"][3][:2]


def is_never_seen(data):
    for name in ("left", "top"):
        points = np.array(data.columns[f"obs.kp_{name}"])
        points[:T, 1] = 0
        data.columns[f"obs.kp_{name}"] = points.tolist()


def is_cut(data):
    data.columns = {name: column[:-1] for name, column in data.columns.items()}


def is_old(data):
    data.info["codebase_version"] = "v2.1"


def has_no_column(data):
    del data.columns["obs.kp_top"]


def has_huge_shape(data):
    data.features["obs.kp_left"]["shape"] = [10**9, 3]


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (moves, "changes from frame to frame"),
        (is_ragged, "must hold numbers of shape (4, 3)"),
        (is_never_seen, "objects/point1 is detected by less than two cameras"),
        (is_cut, "6 frames of episode 2 must be there"),
        (is_old, "codebase_version is 'v2.1'"),
        (has_no_column, "column 'obs.kp_top' is missing"),
        (has_huge_shape, "features must be an object with shapes"),
    ],
)
def test_damaged_data_sets(data, run, tmp_path, change, part):
    change(data)
    code, said, _ = run(data.write(), *FOREIGN)
    refused(code, said, part)
    assert not (tmp_path / "out" / "archive.npz").exists()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ((), "0 camera(s) with features keypoints.{camera}.uv"),
        (("--uv", "obs.kp_{camera}"), "no feature 'camera.left.intrinsics'"),
        (("--uv", "obs.kp_left"), "must hold {camera} once"),
        ((*FOREIGN, "--cameras", "left", "back"), "no feature 'obs.kp_back'"),
        ((*FOREIGN, "--keypoints", "nose"), "has no 'nose'"),
        ((*FOREIGN, "--task_name", "a b"), "must be one word"),
        ((*FOREIGN[:-1], "none_{camera}"), "--image_size WIDTH HEIGHT"),
        ((*FOREIGN, "--calibration", "nothing.json"), "cannot be read"),
    ],
)
def test_bad_flags(data, run, flags, part):
    code, said, _ = run(data.write(), *flags)
    refused(code, said, part)


def test_folders_that_are_none(data, run, tmp_path):
    refused(*run(tmp_path / "nothing")[:2], "no LeRobot data set")
    root = data.write()
    (root / "meta/info.json").write_text("{")
    refused(*run(root)[:2], "cannot be read")
    (root / "meta/info.json").write_text('{"codebase_version": "v3.0", "fps": 30, "features": {}}')
    (root / "meta/episodes/chunk-000/file-000.parquet").write_bytes(b"PAR1 no parquet PAR1")
    refused(*run(root)[:2], "cannot be read")
