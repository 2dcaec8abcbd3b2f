"""Data sets in VideoPose3D's form become archives and tracks."""

import numpy as np
import pytest

from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.formal import UV_DETECTED, UV_EXACT, VISIBILITY, XYZ_WORLD, read_formal
from pose_obj_3d.import_tracks import main
from pose_obj_3d.importing.people import videopose3d
from pose_obj_3d.importing.people.data_sets import H36M_17, H36M_32
from pose_obj_3d.importing.people.subject_cameras import read_subject_cameras, straightened
from pose_obj_3d.importing.tracks.views import Wanted

SUBJECTS = ("S1", "S5", "S9")
ACTIONS = ("Eating", "Walking", "Walking 1")
FRAMES, VIEWS = 6, 3
CENTRE, FOCAL = [512.5, 515.4], [1145.0, 1143.8]
RADIAL, TANGENTIAL = [-0.207, 0.2477, -0.003], [-0.00097, -0.00142]


class Cameras:
    """Cameras as VideoPose3D's module has them: quaternion and place in the world [mm]."""

    def __init__(self):
        rng = np.random.default_rng(5)
        self.inner = [
            {
                "id": str(54138969 + v),
                "center": CENTRE,
                "focal_length": FOCAL,
                "radial_distortion": RADIAL,
                "tangential_distortion": TANGENTIAL,
                "res_w": 1000,
                "res_h": 1002,
            }
            for v in range(VIEWS)
        ]
        self.outer = {}
        for subject in SUBJECTS:
            self.outer[subject] = []
            for v in range(VIEWS):
                angle = 2.1 * v + rng.uniform(-0.1, 0.1)
                at = 5 * np.array([np.cos(angle), np.sin(angle), 0.1])
                z = -at / np.linalg.norm(at)
                x = np.cross(z, [0, 0, 1.0]) / np.linalg.norm(np.cross(z, [0, 0, 1.0]))
                turn = np.stack([x, np.cross(z, x), z], 1)  # camera to world
                w = np.sqrt(1 + np.trace(turn)) / 2
                q = [turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]]
                self.outer[subject].append(
                    {
                        "orientation": [float(w), *(float(n / (4 * w)) for n in q)],
                        "translation": (1000 * at).tolist(),
                    }
                )

    def source(self):
        return (
            "import numpy as np\nraise SystemExit('never run')\n"
            f"h36m_cameras_intrinsic_params = {self.inner!r}\n"
            f"h36m_cameras_extrinsic_params = {self.outer!r}\n"
        )

    def project(self, xyz, subject, v):
        """Project (T, K, 3) as VideoPose3D does: `project_to_2d`, in pixels."""
        pose = self.outer[subject][v]
        w, x, y, z = pose["orientation"]
        u = np.array([x, y, z])
        local = xyz - np.array(pose["translation"]) / 1000
        # The inverse rotation by the quaternion.
        cross = np.cross(-u, local)
        local = local + 2 * (w * cross + np.cross(-u, cross))
        flat = np.clip(local[..., :2] / local[..., 2:], -1, 1)
        r2 = (flat**2).sum(-1, keepdims=True)
        radial = 1 + sum(k * r2 ** (i + 1) for i, k in enumerate(RADIAL))
        tan = (np.array(TANGENTIAL) * flat).sum(-1, keepdims=True)
        return np.array(FOCAL) * (flat * (radial + tan) + np.array(TANGENTIAL) * r2) + CENTRE


def write(folder, cameras, layout=None, longer=0, noise=0.0):
    """Write the two files as the scripts `prepare_data_*` do."""
    rng = np.random.default_rng(7)
    (folder / "data").mkdir(parents=True, exist_ok=True)
    with_3d, with_2d = {}, {}
    body = rng.normal(0, [0.3, 0.2, 0.5], (32, 3))
    for subject in SUBJECTS:
        with_3d[subject], with_2d[subject] = {}, {}
        for action in ACTIONS:
            walk = np.linspace(0, rng.uniform(0.1, 0.5), FRAMES)[:, None, None]
            xyz = (body + walk + rng.normal(0, 0.002, (FRAMES, 32, 3))).astype("float32")
            with_3d[subject][action] = xyz
            views = [cameras.project(xyz[:, list(H36M_32)], subject, v) for v in range(VIEWS)]
            views = [np.concatenate([uv, uv[:longer]]) for uv in views]
            with_2d[subject][action] = [
                (uv + rng.normal(0, noise, uv.shape)).astype("float32") for uv in views
            ]
    metadata = {"num_joints": 17, "keypoints_symmetry": [[4, 5, 6], [1, 2, 3]]}
    if layout:
        metadata["layout_name"] = layout
    np.savez_compressed(folder / "data" / "data_3d_h36m.npz", positions_3d=with_3d)
    np.savez_compressed(
        folder / "data" / "data_2d_h36m_gt.npz", positions_2d=with_2d, metadata=metadata
    )
    (folder / "common").mkdir(exist_ok=True)
    (folder / "common" / "h36m_dataset.py").write_text(cameras.source())
    return with_2d, with_3d


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A folder as a clone of VideoPose3D, with exact 2D."""
    folder, cameras = tmp_path_factory.mktemp("clone"), Cameras()
    return folder, *write(folder, cameras)


def run(folder, *flags, out="h36m.npz"):
    names = [str(folder / "data" / f"data_{kind}.npz") for kind in ("2d_h36m_gt", "3d_h36m")]
    assert main([*names, "--out", str(folder / out), *flags]) == 0
    return read_formal(folder / out)


def test_actions_become_tasks_and_subjects_split(clone, capsys):
    folder, _, with_3d = clone
    data = run(folder)
    assert data.meta["task_names"] == {"T0": "Eating", "T1": "Walking"}
    assert data.split(1) == {"train": [0, 1], "val": [2, 3], "test": [4, 5]}
    assert data.meta["source_seeds"]["T1"][4:] == ["S9/Walking", "S9/Walking 1"]
    assert data.keypoint_names(0) == [f"body/{name}" for name in H36M_17]
    assert len(data.camera_names) == 9, "each subject has cameras of his own"
    assert data.camera_names[3] == "S5_54138969"
    assert "T1 Walking (6)" in capsys.readouterr().out
    example = data.tracks[1][2]
    own = example[3:6]
    assert np.isnan(example[[0, 8]][..., UV_DETECTED]).all(), "others' cameras are blind"
    assert (own[..., VISIBILITY] == 1).all()
    np.testing.assert_allclose(own[..., UV_DETECTED], own[..., UV_EXACT], atol=1 / 32 + 1e-3)
    truth = with_3d["S5"]["Walking"][:, list(H36M_32)]
    np.testing.assert_allclose(own[1, ..., XYZ_WORLD], truth, atol=2**-17)
    assert data.frame_period_s == 0.02


def test_positions_without_distortion_are_those_of_a_pinhole(clone):
    """The projection that VideoPose3D writes is inverted to 1e-3 px, its float32."""
    folder, *_ = clone
    found = videopose3d.read(
        folder / "data" / "data_2d_h36m_gt.npz", Wanted(individuals=("S5/Eating",))
    )
    truth = clone[2]["S5"]["Eating"][:, list(H36M_32)].astype(np.float64)
    for v, view in enumerate(found.views):
        e = found.cameras.extrinsics[v]
        local = truth @ e[:, :3].T + e[:, 3]
        uv = (local / local[..., 2:]) @ found.cameras.intrinsics[v].T
        np.testing.assert_allclose(view.points[:, 0], uv[..., :2], atol=1e-3)


def test_the_lens_is_inverted_to_the_last_digit(clone):
    """What is lost above is lost by the file's float32."""
    cameras, rng = Cameras(), np.random.default_rng(2)
    xyz = rng.uniform(-1.5, 1.5, (500, 1, 3))
    read = read_subject_cameras(clone[0] / "common" / "h36m_dataset.py", ["S5"])["S5"]
    for v, camera in enumerate(read):
        local = xyz @ camera.extrinsics[:, :3].T + camera.extrinsics[:, 3]
        pinhole = (local / local[..., 2:]) @ camera.intrinsics.T
        found = straightened(cameras.project(xyz, "S5", v), camera)
        np.testing.assert_allclose(found, pinhole[..., :2], atol=1e-9)


@pytest.mark.parametrize(("kind", "names"), [("subject", list(SUBJECTS)), ("all", ["all"])])
def test_other_tasks_and_frames(clone, kind, names):
    data = run(clone[0], "--tasks", kind, "--every", "2", out=f"{kind}.npz")
    assert list(data.meta["task_names"].values()) == names
    assert data.tracks[0][0].shape[1] == FRAMES // 2
    assert data.frame_period_s == 0.04


def test_tracks_of_one_recording(clone, capsys):
    """`import_tracks` of the 2D alone makes tracks of one recording; without a name it lists."""
    folder = clone[0]
    source = str(folder / "data" / "data_2d_h36m_gt.npz")
    out = folder / "tracks.npz"
    assert main([source, "--individual", "S9/Walking 1", "--out", str(out)]) == 0
    file = np.load(out)
    assert file["points"].shape == (VIEWS, FRAMES, 17, 2)
    assert file["keypoint_names"].tolist() == list(H36M_17)
    assert main([source, "--out", str(out)]) == 2
    assert "choose one, such as --individual 'S1/Eating'" in capsys.readouterr().err
    assert main([source, "--individual", "S9/Wolking", "--out", str(out)]) == 2
    assert "did you mean S9/Walking" in capsys.readouterr().err


def test_a_detector_of_another_layout(tmp_path):
    """Of COCO's joints those remain that the 3D has, too; frames without truth go."""
    write(tmp_path, Cameras(), layout="coco", longer=2, noise=2.0)
    data = run(tmp_path)
    names = data.keypoint_names(0)
    assert len(names) == 13
    assert {"body/nose", "body/left_wrist"} <= set(names)
    assert data.tracks[0][0].shape[1] == FRAMES
    assert 0 in data.detections
    assert data.meta["detections"]["detector"] == "h36m_gt"


def test_one_calibration_for_all_subjects(clone, tmp_path):
    """Cameras that all subjects share are one view each."""
    K = [[FOCAL[0], 0, CENTRE[0]], [0, FOCAL[1], CENTRE[1]], [0, 0, 1]]
    text = "".join(
        f"[cam_{v}]\ncam_id = {v}\nsize = [1000, 1002]\nmatrix = {K}\n"
        "distortions = [0, 0, 0, 0, 0]\n"
        f"rotation = [0, {0.1 * v}, 0]\ntranslation = [0, 0, 5]\n"
        for v in range(VIEWS)
    )
    path = tmp_path / "camera_array.toml"
    path.write_text(text)
    data = run(clone[0], "--calibration", str(path), out="shared.npz")
    assert data.camera_names == ["cam_0", "cam_1", "cam_2"]
    folder = tmp_path / "by_subject"
    folder.mkdir()
    for n, subject in enumerate(SUBJECTS):
        moved = text.replace("translation = [0, 0, 5]", f"translation = [0, {n}, 5]")
        (folder / f"{subject}.toml").write_text(moved)
    data = run(clone[0], "--calibration", str(folder), out="own.npz")
    assert len(data.camera_names) == 9
    assert data.camera_names[:2] == ["S1_cam_0", "S1_cam_1"]


class Evil:
    """What a pickle could do."""

    def __reduce__(self):
        return print, ("executed",)


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"positions_2d": {"S1": {"Eating": Evil()}}}, "asks for"),
        ({"positions_2d": {"S1": [1, 2]}}, "must be a dict of actions"),
        ({"positions_2d": {"S1": {"Eating": [np.zeros((3, 17, 5))]}}}, "must be numbers"),
        ({"positions_2d": {"S1": {"Eating": [None]}}}, "must be a list of views"),
        ({"positions_2d": np.zeros(3)}, "is no pickled array"),
        (
            {"positions_2d": {"S1": {"A": [np.zeros((3, 17, 2))], "B": [np.zeros((3, 16, 2))]}}},
            "numbers of joints differ",
        ),
    ],
)
def test_damaged_files_are_one_line(tmp_path, capsys, members, says):
    path = tmp_path / "data_2d_custom.npz"
    np.savez_compressed(path, **members)
    with pytest.raises(PoseObj3DError, match=says) as caught:
        videopose3d.read(path, Wanted())
    assert len(str(caught.value)) < 500
    assert "executed" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "has no tables"),
        ("h36m_cameras_intrinsic_params = [open('x')]", "cannot be read"),
        ("h36m_cameras_intrinsic_params = [" * 300, "cannot be read"),
        (
            "h36m_cameras_intrinsic_params = [{}]\nh36m_cameras_extrinsic_params = {'S1': [{}]}",
            "no cameras of the subject 'S1'",
        ),
    ],
)
def test_damaged_cameras_are_one_line(clone, tmp_path, capsys, text, says):
    path = tmp_path / "h36m_dataset.py"
    path.write_text(text)
    names = [str(clone[0] / "data" / f"data_{kind}.npz") for kind in ("2d_h36m_gt", "3d_h36m")]
    assert main([*names, "--calibration", str(path), "--out", str(tmp_path / "a.npz")]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "a.npz").exists()


def test_wrong_options(clone, tmp_path, capsys):
    names = [str(clone[0] / "data" / f"data_{kind}.npz") for kind in ("2d_h36m_gt", "3d_h36m")]
    for flags, says in (
        (["--every", "0"], "--every 0"),
        (["--subjects", "S8"], "--subjects S8"),
        (["--calibration", str(tmp_path / "none.py")], "no such file or folder of cameras"),
    ):
        assert main([*names, "--out", str(tmp_path / "a.npz"), *flags]) == 2
        assert says in capsys.readouterr().err
