"""Calibration files of each tool, in the layout that the tool writes, give the same cameras."""

import cv2
import numpy as np
import pytest

from pose_obj_3d.common.errors import ConfigError, DataError, PoseObj3DError
from pose_obj_3d.importing.calibrations.reading import read_calibration

NAMES = ["left", "right", "top"]
SIZE = (640, 480)


class Rig:
    """Three cameras around the origin, in metres."""

    def __init__(self):
        rng = np.random.default_rng(3)
        self.turns = rng.uniform(-2.0, 2.0, (3, 3))
        self.R = np.stack([cv2.Rodrigues(turn)[0] for turn in self.turns])
        self.t = rng.uniform(-1, 1, (3, 3)) + np.array([0, 0, 2])
        self.K = np.tile(np.eye(3), (3, 1, 1))
        self.K[:, 0, 0], self.K[:, 1, 1] = [610.0, 620.0, 650.0], [611.0, 622.0, 653.0]
        self.K[:, :2, 2] = [320.25, 240.75]
        self.D = rng.uniform(-0.1, 0.1, (3, 5))
        self.E = np.concatenate([self.R, self.t[..., None]], axis=2)


@pytest.fixture(scope="module")
def rig():
    return Rig()


def agree(found, rig, coefficients=5, names=NAMES, **tolerance):
    """Check all that a file says of the cameras."""
    assert found.names == names
    np.testing.assert_allclose(found.intrinsics, rig.K, atol=1e-9, **tolerance)
    np.testing.assert_allclose(found.extrinsics, rig.E, atol=1e-9, **tolerance)
    np.testing.assert_allclose(
        found.distortion[:, :coefficients], rig.D[:, :coefficients], atol=1e-9
    )
    assert not found.distortion[:, coefficients:].any()


def toml(rig, table, extra="", count=5, turn=lambda rig, v: rig.turns[v].tolist(), lines=""):
    """Write cameras as anipose, Pose2Sim and caliscope do."""
    text = lines
    for v, name in enumerate(NAMES):
        text += f"[{table(v)}]\n{extra.format(v=v, name=name)}size = [{SIZE[0]}, {SIZE[1]}]\n"
        text += f"matrix = {rig.K[v].tolist()}\ndistortions = {rig.D[v, :count].tolist()}\n"
        text += f"rotation = {turn(rig, v)}\ntranslation = {rig.t[v].tolist()}\n\n"
    return text


def test_anipose(rig, tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(
        toml(rig, lambda v: f"cam_{v}", 'name = "{name}"\n') + "[metadata]\nadjusted = false\n"
    )
    for source in (path, tmp_path):
        found = read_calibration(source, units="mm")
        agree(found, rig)
        assert found.unit == "mm"
        assert found.image_size.tolist() == [[640, 480]] * 3


def test_fisheye_of_anipose(rig, tmp_path):
    path = tmp_path / "calibration.toml"
    path.write_text(toml(rig, lambda v: f"cam_{v}", 'name = "{name}"\nfisheye = true\n', count=4))
    found = read_calibration(path)
    agree(found, rig, 4)
    assert found.lenses == ["fisheye"] * 3


def test_pose2sim_and_the_guessed_unit(rig, tmp_path):
    path = tmp_path / "Calib_scene.toml"
    path.write_text(
        toml(rig, lambda v: NAMES[v], 'name = "{name}"\n', count=4)
        + "[metadata]\nadjusted = false\nerror = 0.0\n"
    )
    found = read_calibration(tmp_path)
    agree(found, rig, 4)
    assert found.unit == "m"
    assert not found.is_unit_known
    assert "--units" in found.notes[0]


@pytest.mark.parametrize("layout", ["camera_array", "config"])
def test_caliscope(rig, tmp_path, layout):
    """The older one has matrices as rotations, and a date; a camera without a pose has no place."""
    table = "cameras.{}" if layout == "camera_array" else "cam_{}"
    text = toml(
        rig,
        table.format,
        "cam_id = {v}\nrotation_count = 0\nignore = false\n",
        turn=lambda rig, v: rig.R[v].tolist(),
        lines="CreationDate = 2023-05-06T11:12:27.631355\n" if layout == "config" else "",
    )
    text += f"[{table.format(7)}]\ncam_id = 7\nsize = [640, 480]\nmatrix = {rig.K[0].tolist()}\n"
    (tmp_path / f"{layout}.toml").write_text(text)
    found = read_calibration(tmp_path)
    agree(found, rig, names=["cam_0", "cam_1", "cam_2"])
    assert found.unit == "m"
    assert found.notes == ["camera cam_7 has no pose: it is left out"]


def storage(path, **values):
    file = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for key, value in values.items():
        file.write(key, value)
    file.release()


@pytest.mark.parametrize("suffix", ["yml", "yaml", "xml", "json"])
def test_one_file_of_opencv_for_each_camera(rig, tmp_path, suffix):
    for v, name in enumerate(NAMES):
        storage(
            tmp_path / f"{name}.{suffix}",
            image_width=640,
            image_height=480,
            fisheye_model=0,
            camera_matrix=rig.K[v],
            image_points=np.zeros((30, 54, 2)),
            distortion_coefficients=rig.D[v][:, None],
            R=rig.turns[v][:, None],
            T=rig.t[v][:, None],
        )
    found = read_calibration(tmp_path)
    agree(found, rig)
    assert found.image_size.tolist() == [[640, 480]] * 3


@pytest.mark.parametrize("suffix", ["yml", "xml"])
@pytest.mark.parametrize("keys", ["K_{}", "K{}"])
def test_one_file_of_opencv_for_all(rig, tmp_path, keys, suffix):
    if keys == "K{}" and suffix == "xml":
        keys = "K-{}"
    values = {}
    for v in range(3):
        for key, value in (("K", rig.K), ("D", rig.D), ("R", rig.R), ("T", rig.t)):
            values[keys.replace("K", key).format(v + 1)] = value[v]
    storage(tmp_path / f"all.{suffix}", **values)
    agree(read_calibration(tmp_path / f"all.{suffix}"), rig, names=["1", "2", "3"])


def test_intrinsics_and_poses_in_two_files(rig, tmp_path):
    """EasyMocap's: R is the vector, Rot the matrix."""
    inner, outer = {}, {}
    for v, name in enumerate(NAMES):
        inner |= {f"K_{name}": rig.K[v], f"dist_{name}": rig.D[v][None]}
        outer |= {f"R_{name}": rig.turns[v], f"Rot_{name}": rig.R[v], f"T_{name}": rig.t[v]}
    storage(tmp_path / "intri.yml", **inner)
    storage(tmp_path / "extri.yml", **outer)
    agree(read_calibration(tmp_path), rig)
    with pytest.raises(DataError, match=r"left has no pose.*give the folder of both"):
        read_calibration(tmp_path / "intri.yml")


def test_stereo_pair_of_opencv(rig, tmp_path):
    """R and T lead from the first camera to the second; R1 and R2 are rectifications."""
    storage(tmp_path / "intrinsics.yml", M1=rig.K[0], D1=rig.D[0], M2=rig.K[1], D2=rig.D[1])
    storage(
        tmp_path / "extrinsics.yml", R=rig.R[1], T=rig.t[1], R1=rig.R[2], R2=rig.R[0], Q=np.eye(4)
    )
    found = read_calibration(tmp_path)
    assert found.names == ["1", "2"]
    np.testing.assert_allclose(found.extrinsics[0], np.eye(4)[:3])
    np.testing.assert_allclose(found.extrinsics[1], rig.E[1], atol=1e-12)


def test_nested_yaml_written_by_hand(rig, tmp_path):
    text = "".join(
        f"{name}:\n  K: {rig.K[v].tolist()}\n  dist: {rig.D[v].tolist()}\n"
        f"  extrinsics: {rig.E[v].tolist()}\n  distortion_model: plumb_bob\n"
        for v, name in enumerate(NAMES)
    )
    (tmp_path / "rig.yaml").write_text(text)
    agree(read_calibration(tmp_path), rig)


def colmap(folder, rig, model, parameters):
    lines = [f"{v + 1} {model} 640 480 {' '.join(map(repr, parameters(v)))}\n" for v in range(3)]
    (folder / "cameras.txt").write_text("# Camera list\n" + "".join(lines))
    lines = []
    for v, name in enumerate(NAMES):
        angle = np.linalg.norm(rig.turns[v])
        axis = np.sin(angle / 2) * rig.turns[v] / angle
        numbers = " ".join(repr(float(x)) for x in (np.cos(angle / 2), *axis, *rig.t[v]))
        lines.append(f"{v + 1} {numbers} {v + 1} {name}.png\n{'' if v else '1.5 2.5 -1'}\n")
    (folder / "images.txt").write_text("# Image list\n# more\n" + "".join(lines))


@pytest.mark.parametrize(("model", "count"), [("PINHOLE", 0), ("OPENCV", 4), ("RADIAL", 2)])
def test_colmap(rig, tmp_path, model, count):
    """Its pixels begin at the corner of the first one, OpenCV's at the centre."""
    one = Rig()
    one.D[:, count:] = 0
    if model == "RADIAL":
        one.K[:, 1, 1] = one.K[:, 0, 0]

    def parameters(v):
        focal = [one.K[v, 0, 0]] if model == "RADIAL" else [one.K[v, 0, 0], one.K[v, 1, 1]]
        return [float(x) for x in (*focal, 320.75, 241.25, *one.D[v, :count])]

    colmap(tmp_path, one, model, parameters)
    agree(read_calibration(tmp_path), one, count)


def test_fisheye_of_colmap(rig, tmp_path):
    colmap(
        tmp_path, rig, "OPENCV_FISHEYE", lambda v: [610.0, 611.0, 320.5, 240.5, 0.1, 0.2, 0.3, 0.4]
    )
    found = read_calibration(tmp_path / "cameras.txt")
    assert found.lenses == ["fisheye"] * 3
    np.testing.assert_allclose(found.distortion[0, :4], [0.1, 0.2, 0.3, 0.4])
    colmap(tmp_path, rig, "FOV", lambda v: [610.0, 611.0, 320.5, 240.5, 0.1])
    with pytest.raises(DataError, match=r"'FOV'.*allowed: SIMPLE_PINHOLE"):
        read_calibration(tmp_path)


def test_our_own(rig, tmp_path):
    path = tmp_path / "tracks.npz"
    np.savez(
        path,
        intrinsics=rig.K,
        extrinsics=rig.E,
        distortion=rig.D,
        units="mm",
        camera_names=NAMES,
        points=np.zeros((3, 1, 1, 2)),
    )
    found = read_calibration(path)
    agree(found, rig)
    assert found.unit == "mm"
    np.savez(tmp_path / "cameras.npz", **found.members())
    agree(read_calibration(tmp_path / "cameras.npz"), rig)
    with pytest.raises(ConfigError, match="is in mm"):
        read_calibration(path, units="m")


def test_chosen_by_name(rig, tmp_path):
    path = tmp_path / "c.toml"
    path.write_text(toml(rig, lambda v: NAMES[v]))
    found = read_calibration(path).chosen(["top", "left"])
    np.testing.assert_allclose(found.extrinsics, rig.E[[2, 0]], atol=1e-12)
    np.testing.assert_allclose(found.intrinsics, rig.K[[2, 0]])
    with pytest.raises(DataError, match="did you mean left"):
        read_calibration(path).chosen(["leff"])


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("a.toml", "[cam_0\n", "not valid TOML"),
        ("a.toml", "[other]\nx = 1\n", "no camera in it"),
        ("a.toml", "[a]\nmatrix = [1, 2]\n", "3 x 3 numbers, found 2"),
        ("a.toml", "[a]\nmatrix = [[1, 0, 0], [0, 1, 0], [0, 0, 'x']]\n", "must hold numbers"),
        ("a.toml", "x = " + "[" * 3000, "not valid TOML"),
        ("a.yml", "%YAML:1.0\n---\nK: !!python/object:os.system {}\n", "not valid YAML"),
        (
            "a.yml",
            "a: &a [1, 2]\n" + "".join(f"b{i}: [*a, *a]\n" for i in range(3)),
            "no camera matrix",
        ),
        (
            "a.yml",
            "K: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n   data: [ 1., 2. ]\n",
            "claims 3 x 3 numbers, but has 2",
        ),
        ("a.xml", "<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", "DOCTYPE"),
        ("a.xml", "<opencv_storage><K>", "not valid XML"),
        ("a.json", "[" * 100000, "not valid JSON"),
        ("cameras.txt", "1 PINHOLE 640 480 x 1 2 3\n", "damaged line"),
        ("a.npz", "PK", "cannot be read"),
        ("a.bin", "", "unknown kind of calibration"),
        ("a.toml", b"\xff\xfe\x00", "is no text"),
    ],
)
def test_damaged_files_are_one_line(tmp_path, name, text, says):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(PoseObj3DError, match=says) as caught:
        read_calibration(path)
    assert len(str(caught.value)) < 500
    assert "\n" not in str(caught.value)


def test_nothing_there(tmp_path):
    for path in (tmp_path, tmp_path / "absent.toml"):
        with pytest.raises(DataError, match="known are"):
            read_calibration(path)


def test_one_name_for_two_cameras(rig, tmp_path):
    (tmp_path / "c.toml").write_text(toml(rig, lambda v: f"c{v}", 'name = "same"\n'))
    with pytest.raises(DataError, match="two cameras are named 'same'"):
        read_calibration(tmp_path)
