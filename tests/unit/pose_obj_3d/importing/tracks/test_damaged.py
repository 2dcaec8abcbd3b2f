"""Damaged and foreign files: one line each, and nothing is written."""

import shutil
import sys

import h5py
import numpy as np
import pytest

from pose_obj_3d import import_tracks
from pose_obj_3d.common.errors import MAX_MESSAGE
from pose_obj_3d.importing.tracks import opening
from pose_obj_3d.importing.tracks.options import ImportOptions


@pytest.fixture
def refused(made, tmp_path, capsys):
    """Import, and return the one line that refuses it."""

    def run(*sources, calibration=made / "calibration.toml"):
        out = tmp_path / "out" / "tracks.npz"
        out.parent.mkdir(exist_ok=True)
        code = import_tracks.main(
            [*map(str, sources), "--calibration", str(calibration), "--out", str(out)]
        )
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert code == 2
        assert len(said) <= MAX_MESSAGE + len("error: ")
        assert not list(out.parent.iterdir())
        return said

    return run


@pytest.fixture
def copies(made, tmp_path):
    """A folder's files, to be damaged."""

    def copied(folder):
        shutil.copytree(made / folder, tmp_path / folder)
        return sorted((tmp_path / folder).iterdir())

    return copied


@pytest.mark.parametrize("folder", ["dlc_h5", "dlc_fixed", "analysis", "slp"])
@pytest.mark.parametrize("share", [0.1, 0.6, 0.99])
def test_cut_hdf5(copies, refused, folder, share):
    files = copies(folder)
    content = files[0].read_bytes()
    files[0].write_bytes(content[: int(share * len(content))])
    said = refused(*files)
    assert files[0].name in said
    assert "damaged" in said


def edit(path, change):
    lines = path.read_text().splitlines(keepends=True)
    change(lines)
    path.write_text("".join(lines))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda x: x.__setitem__(10, x[10].rsplit(",", 2)[0] + "\n"),
            "line 11 has 8 cells, the hea",
        ),
        (lambda x: x.__setitem__(10, x[10].replace(".", "o", 1)), "where a number must be"),
        (
            lambda x: x.__setitem__(1, "body" + x[1]),
            "the header's rows begin with scorer, bodybodyp",
        ),
        (lambda x: x.__setitem__(2, x[2].replace("y", "z")), "has no x or no y"),
        (
            lambda x: x.__setitem__(1, x[1].replace("tail", "nose")),
            "the header names 'nose x' twice",
        ),
        (lambda x: x.__setitem__(10, x[9]), "frame 6 is in 2 rows"),
        (lambda x: x.__delitem__(slice(3, None)), "no rows"),
        (lambda x: x.__delitem__(slice(2, None)), "the header's rows begin with scorer, bodyparts"),
        (lambda x: x.__setitem__(10, "-" + x[10]), "frame -7 is below 0"),
        (lambda x: x.__setitem__(10, "9" * 14 + x[10]), "are too many"),
        (lambda x: x.__delitem__(0), "no known file of 2D tracks"),
    ],
)
def test_damaged_csv(copies, refused, change, said):
    files = copies("dlc_csv")
    edit(files[1], change)
    line = refused(*files)
    assert said in line
    assert files[1].name in line


def test_folders_and_files_of_nothing(tmp_path, refused, made):
    assert "no such file or folder" in refused(tmp_path / "absent.csv")
    (tmp_path / "empty").mkdir()
    assert "no file of 2D tracks in it" in refused(tmp_path / "empty")
    (tmp_path / "notes.txt").write_text("hello")
    assert "DeepLabCut (csv, h5)" in refused(tmp_path / "notes.txt")
    np.savez(tmp_path / "a.npz", x=np.zeros(2))
    assert "no known file" in refused(tmp_path / "a.npz")
    one = next((made / "dlc_csv").iterdir())
    assert "1 view (left)" in refused(one).replace("mid", "left").replace("right", "left")
    assert "both of the view" in refused(one, one)


def test_hdf5_that_asks_for_much(copies, refused):
    """Zeros pack well: 10^9 frames in a few kilobytes."""
    files = copies("analysis")
    with h5py.File(files[0], "r+") as file:
        del file["tracks"]
        file.create_dataset("tracks", (1, 2, 3, 10**9), "f8", chunks=(1, 2, 3, 1000), fillvalue=0)
    assert "would take" in refused(*files)


def test_hdf5_that_points_elsewhere(copies, refused):
    files = copies("analysis")
    with h5py.File(files[0], "r+") as file:
        del file["tracks"]
        file["tracks"] = h5py.ExternalLink(files[1].name, "/tracks")
    assert "lies in another file" in refused(*files)


def test_pickled_header_that_calls_a_function(copies, refused, tmp_path):
    """It is refused, and the function is not called."""
    files = copies("dlc_h5")
    target = tmp_path / "called"
    with h5py.File(files[0], "r+") as file:
        table = file["df_with_missing/table"]
        call = f"cos\nsystem\n(S'touch {target}'\ntR."
        table.attrs["values_block_0_kind"] = np.bytes_(call.encode())
    assert files[0].name in refused(*files)
    assert not target.exists()


@pytest.mark.parametrize(
    ("package", "folder", "extra"),
    [("h5py", "dlc_h5", "formats"), ("h5py", "analysis", "formats"), ("sleap_io", "slp", "sleap")],
)
def test_a_package_that_is_not_installed(made, refused, monkeypatch, package, folder, extra):
    monkeypatch.setitem(sys.modules, package, None)
    said = refused(*sorted((made / folder).iterdir()))
    assert f"needs the package {package.replace('_', '-')}; install it" in said
    assert f"pip install -e '.[{extra}]'" in said


def test_csv_beside_hdf5_needs_no_package(made, monkeypatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    options = ImportOptions(calibration=made / "calibration.toml", individuals=("ada",))
    joined = opening.import_tracks([str(made / "two_animals")], options)
    assert any("_el.h5 beside" in note for note in joined.notes)


def test_anipose_without_sense(made, tmp_path, refused):
    project = tmp_path / "project"
    shutil.copytree(made / "anipose", project)
    config = project / "config.toml"
    for text, said in (
        ("[triangulation]\ncam_regex = '((a+)+)+$'", "too complex"),
        ("[triangulation]\ncam_regex = '(['", "is no pattern"),
        ("[triangulation]\ncam_regex = 'cam'", "needs a group"),
        ("[triangulation]\ncam_regex = '_(x)$'", "its name does not tell the camera"),
        ("[cameras.left]\noffset = ['a', 1]", "offset of camera 'left' must be two numbers"),
        ("[cameras", "not valid TOML"),
    ):
        config.write_text(text)
        assert said in refused(project)
    config.write_text("nesting = 1")
    shutil.copytree(project / "mouse1", project / "mouse2")
    assert "2 sessions of anipose (mouse1, mouse2); name one" in refused(project)
