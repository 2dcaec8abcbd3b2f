"""Lifted points in other tools' formats, read back by each format's own rules."""

import csv
import sys
from dataclasses import replace

import numpy as np
import pytest

from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.export_points import __main__ as export_points
from pose_obj_3d.lifting.writing import c3d
from pose_obj_3d.lifting.writing.formats import FORMATS, write_formats
from pose_obj_3d.lifting.writing.points import LiftedPoints, read_points
from pose_obj_3d.lifting.writing.support import Support
from pose_obj_3d.lifting.writing.trc import UP, turned_up

T, K, V = 9, 3, 2
BRIDGED, UNKNOWN = (4, 1), (5, 2)  # frame, keypoint


def made(units="mm", starts=(0,)):
    """Points of nine frames, one of them bridged, one unknown, the last one of its line."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=(T, K, 3, 3))
    lifted = LiftedPoints(
        points=rng.normal(size=(T, K, 3)) * 300,
        covariance=spread @ spread.swapaxes(-1, -2),
        is_measured=np.ones((T, K), bool),
        weights=np.ones((V, T, K), np.float32),
        noise_px=np.array([1.0, 2.0]),
        camera_names=["left", "right"],
        keypoint_names=["lid", "cup, big", "tip of it"],
        sequence_starts=list(starts),
        units=units,
        fps=29.97,
        method="RTS smoother",
    )
    lifted.is_measured[BRIDGED] = lifted.is_measured[UNKNOWN] = False
    lifted.points[UNKNOWN] = lifted.covariance[UNKNOWN] = np.nan
    lifted.weights[1, 0, 0] = 0
    if units == "m":
        lifted.points[:] /= 1000
        lifted.covariance[:] /= 1e6
    lifted.weights[:, *BRIDGED] = lifted.weights[:, *UNKNOWN] = 0
    return lifted


def support():
    """Detections 3 px from the points in the first camera and 5 px in the second."""
    distance = np.broadcast_to(np.array([3.0, 5.0])[:, None, None], (V, T, K)).copy()
    confidence = np.broadcast_to(np.array([0.9, 0.4])[:, None, None], (V, T, K)).copy()
    return Support(np.zeros((V, T, K, 2)), distance, confidence)


def save(path, lifted):
    members = {name: getattr(lifted, name) for name in vars(lifted)}
    np.savez_compressed(path, **members)
    return path


def number(text):
    return float(text) if text else np.nan


def read_trc(path):
    """Read a TRC file as OpenSim does: exact keys, as many cells in each line as columns."""
    lines = path.read_text(encoding="utf-8").split("\n")
    assert lines[0].split()[0] == "PathFileType"
    keys = "DataRate CameraRate NumFrames NumMarkers Units OrigDataRate OrigDataStartFrame"
    assert lines[1].split("\t") == [*keys.split(), "OrigNumFrames"]
    facts = dict(zip(lines[1].split("\t"), lines[2].split("\t"), strict=True))
    frame, time, *names = [cell for cell in lines[3].split("\t") if cell]
    assert (frame, time, len(names)) == ("Frame#", "Time", int(facts["NumMarkers"]))
    axes = [f"{axis}{k + 1}" for k in range(len(names)) for axis in "XYZ"]
    assert [cell for cell in lines[4].split("\t") if cell] == axes
    assert lines[5] == lines[-1] == ""
    rows = [line.split("\t") for line in lines[6:-1]]
    assert {len(row) for row in rows} == {2 + len(axes)}
    assert "" not in {cell for row in rows for cell in row}  # some readers drop an empty last one
    values = np.array([[float(cell) for cell in row] for row in rows])
    assert values[:, 0].tolist() == list(range(1, int(facts["NumFrames"]) + 1))
    # Pose2Sim finds the names in every third cell, from the third on.
    assert [name.strip() for name in lines[3].split("\t")[2::3] if name.strip()] == names
    return facts, names, values[:, 1], values[:, 2:].reshape(len(rows), -1, 3)


def test_a_tidy_table_has_a_row_for_each_point(tmp_path):
    lifted = made(starts=(0, 5))
    (path,) = write_formats(tmp_path / "points3d", lifted, ["csv"], support())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == T * K
    assert [int(row["frame"]) for row in rows[::K]] == list(range(T))
    assert [row["keypoint"] for row in rows[:K]] == lifted.keypoint_names
    assert {row["unit"] for row in rows} == {"mm"}
    for names, expected in ((("x", "y", "z"), lifted.points), (("sd_x", "sd_y", "sd_z"), None)):
        found = [[number(row[name]) for name in names] for row in rows]
        wanted = lifted.deviation if expected is None else expected
        np.testing.assert_allclose(np.reshape(found, (T, K, 3)), wanted, rtol=1e-9)
    second = [row for row in rows if row["sequence"] == "1"]
    assert (second[0]["frame"], second[0]["time_s"]) == ("5", "0")
    assert number(second[-1]["time_s"]) == pytest.approx(3 / 29.97)
    first, unknown = rows[0], rows[UNKNOWN[0] * K + UNKNOWN[1]]
    assert (first["cameras"], first["is_measured"], first["reprojection_px"]) == ("1", "1", "3")
    assert (unknown["x"], unknown["is_measured"], unknown["reprojection_px"]) == ("", "0", "")


def test_anipose_columns(tmp_path):
    (path,) = write_formats(tmp_path / "points3d", made(), ["anipose"], support())
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    # anipose finds the body parts by their columns of errors, and undoes M and center.
    parts = [name.removesuffix("_error") for name in rows[0] if name.endswith("_error")]
    assert parts == made().keypoint_names
    table = {name: np.array([number(row[name]) for row in rows]) for name in rows[0]}
    M = np.array([[table[f"M_{i}{j}"].mean() for j in range(3)] for i in range(3)])
    centre = np.array([table[f"center_{i}"].mean() for i in range(3)])
    found = np.stack([np.stack([table[f"{p}_{axis}"] for axis in "xyz"], -1) for p in parts], 1)
    world = (found + centre) @ np.linalg.inv(M.T)
    np.testing.assert_allclose(world, made().points, rtol=1e-9)
    assert table["fnum"].tolist() == list(range(T))
    assert (table["lid_ncams"][0], table["lid_error"][0], table["lid_score"][0]) == (1, 3, 0.9)
    assert (table["lid_ncams"][1], table["lid_error"][1], table["lid_score"][1]) == (2, 4, 0.4)
    assert np.isnan(table["tip of it_error"][UNKNOWN[0]])


@pytest.mark.parametrize("units", ["m", "mm"])
def test_trc_files_keep_opensims_rules(tmp_path, units):
    (path,) = write_formats(tmp_path / "points3d", made(units), ["trc"])
    facts, names, time, points = read_trc(path)
    assert (facts["Units"], facts["DataRate"], facts["NumFrames"]) == (units, "29.97", str(T))
    assert names == ["lid", "cup,_big", "tip_of_it"]
    np.testing.assert_allclose(points, made(units).points, rtol=1e-9)
    np.testing.assert_allclose(time, np.arange(T) / 29.97, rtol=1e-8)


@pytest.mark.parametrize("up", UP)
def test_the_axis_that_points_up_becomes_y(up):
    axes = np.eye(3)
    upwards = axes["xyz".index(up[-1])] * (-1 if up.startswith("-") else 1)
    np.testing.assert_array_equal(turned_up(upwards, up), [0, 1, 0])
    turned = turned_up(axes, up)
    np.testing.assert_allclose(np.linalg.det(turned), 1)  # no mirror image
    np.testing.assert_allclose(turned @ turned.T, axes, atol=1e-12)


def test_only_trc_files_are_turned(tmp_path):
    trc, table = write_formats(tmp_path / "points3d", made(), ["trc", "csv"], up="z")
    np.testing.assert_allclose(read_trc(trc)[3], made().points[..., [1, 2, 0]], rtol=1e-9)
    with table.open(encoding="utf-8") as file:
        assert float(next(csv.DictReader(file))["x"]) == pytest.approx(made().points[0, 0, 0])


def test_sequences_have_files_of_their_own_where_a_format_has_one_time_line(tmp_path):
    lifted = made(starts=(0, 4))
    paths = write_formats(tmp_path / "p", lifted, ["csv", "trc", "anipose"], support())
    assert [path.name for path in paths] == [
        *("p.csv", "p_000.trc", "p_001.trc", "p_000_anipose.csv", "p_001_anipose.csv")
    ]
    np.testing.assert_allclose(read_trc(paths[2])[3], lifted.points[4:], rtol=1e-9)


@pytest.mark.parametrize("units", ["m", "mm"])
def test_c3d_files_are_read_by_their_own_reader(tmp_path, units):
    ezc3d = pytest.importorskip("ezc3d", reason="C3D files need ezc3d (.[formats])")
    lifted = made(units)
    (path,) = write_formats(tmp_path / "points3d", lifted, ["c3d"])
    read = ezc3d.c3d(str(path))
    about = read["parameters"]["POINT"]
    assert about["UNITS"]["value"] == [units]
    assert about["LABELS"]["value"] == lifted.keypoint_names
    assert about["RATE"]["value"][0] == pytest.approx(29.97)
    points = read["data"]["points"][:3].transpose(2, 1, 0)
    np.testing.assert_allclose(points, lifted.points, rtol=1e-6)  # 32 bits
    residuals = read["data"]["meta_points"]["residuals"][0].T
    assert (residuals[BRIDGED], residuals[UNKNOWN]) == (0, -1)
    spread = np.sqrt(np.trace(lifted.covariance, axis1=-2, axis2=-1) / 3)
    step = np.nanpercentile(spread, 95) / 100
    assert abs(residuals - spread)[lifted.is_measured].max() < step
    masks = read["data"]["meta_points"]["camera_masks"][:, 0, :2].T
    assert masks[0].tolist() == [True, *[False] * 6]
    assert masks[1].tolist() == [True, True, *[False] * 5]
    assert [p.name for p in tmp_path.iterdir()] == ["points3d.c3d"]


def test_c3d_counts_frames_with_16_bits(tmp_path, monkeypatch):
    pytest.importorskip("ezc3d", reason="C3D files need ezc3d (.[formats])")
    monkeypatch.setattr(c3d, "MAX_FRAMES", T - 1)
    with pytest.raises(PoseObj3DError, match="at most 8 frames, a sequence has 9"):
        write_formats(tmp_path / "points3d", made(), ["csv", "c3d"])
    assert not list(tmp_path.iterdir())
    assert write_formats(tmp_path / "points3d", made(starts=(0, 3)), ["c3d"])


def test_hdf5_holds_the_arrays(tmp_path):
    h5py = pytest.importorskip("h5py", reason="HDF5 files need h5py (.[formats])")
    lifted = made(starts=(0, 4))
    (path,) = write_formats(tmp_path / "points3d", lifted, ["h5"], support())
    with h5py.File(path) as file:
        for name in ("points", "covariance", "is_measured", "weights", "noise_px"):
            np.testing.assert_array_equal(file[name][()], getattr(lifted, name))
        assert file["keypoint_names"].asstr()[()].tolist() == lifted.keypoint_names
        assert file["sequence_starts"][()].tolist() == [0, 4]
        assert (file.attrs["units"], file.attrs["fps"]) == ("mm", 29.97)
        assert file["covariance"].attrs["unit"] == "mm^2"
        assert [axis.label for axis in file["weights"].dims] == ["camera", "frame", "keypoint"]
        assert file["reprojection_px"][1, 0, 0] == 5


def test_earlier_results_are_exported(tmp_path, capsys):
    path = save(tmp_path / "points3d.npz", made())
    assert export_points.main([str(path), "--write", "csv,trc"]) == 0
    assert capsys.readouterr().out.split() == [
        str(tmp_path / "points3d.csv"),
        str(tmp_path / "points3d.trc"),
    ]
    again = read_points(path)
    for name, value in vars(made()).items():
        np.testing.assert_array_equal(getattr(again, name), value)


def one_line(capsys, *argv):
    assert export_points.main([str(a) for a in argv]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert len(line) < 500
    return line


def test_mistakes_are_one_line(tmp_path, capsys, monkeypatch):
    path = save(tmp_path / "points3d.npz", made())
    assert "nothing to write" in one_line(capsys, path)
    assert "did you mean c3d?" in one_line(capsys, path, "--write", "c3")
    assert "no such file" in one_line(capsys, tmp_path / "no.npz", "--write", "csv")
    (tmp_path / "text.npz").write_text("text")
    assert "cannot be read" in one_line(capsys, tmp_path / "text.npz", "--write", "csv")
    short = replace(made(), keypoint_names=["lid"])
    save(tmp_path / "short.npz", short)
    assert "(3,) is expected" in one_line(capsys, tmp_path / "short.npz", "--write", "csv")
    save(tmp_path / "starts.npz", made(starts=(0, 20)))
    assert "do not ascend" in one_line(capsys, tmp_path / "starts.npz", "--write", "csv")
    monkeypatch.setitem(sys.modules, "ezc3d", None)
    assert "pip install -e '.[formats]'" in one_line(capsys, path, "--write", "csv", "c3d")
    assert not list(tmp_path.glob("*.csv"))


def test_every_format_names_what_it_needs():
    assert {form.package for form in FORMATS.values()} == {"", "ezc3d", "h5py"}
