"""The commands of the pages on other tools run, on small files of those tools."""

import re
import shlex
import shutil

import numpy as np
import pytest

from pose_obj_3d import import_tracks, lift
from tests.unit.document_pages import ROOT, fences

COMMANDS = {"pose_obj_3d.import_tracks": import_tracks.main, "pose_obj_3d.lift": lift.main}
PAGES = {
    "from_deeplabcut": ("dlc_csv", "session1"),
    "from_sleap": ("analysis", "session1"),
    "from_lightning_pose": ("lightning_pose", "session1"),
    "from_anipose": ("anipose", "project"),
}
FAST = ["--no_pictures", "--keep", "triangulation"]


def lines(page):
    """Give the words of each line of a page's blocks."""
    for fence in fences(ROOT / "docs" / f"{page}.md"):
        assert fence.language == "bash"
        yield from (shlex.split(line, comments=True) for line in fence.text.splitlines())


@pytest.mark.parametrize("page", PAGES)
def test_from_files_to_3d(made, tmp_path, monkeypatch, page):
    made_in, name = PAGES[page]
    shutil.copytree(made / made_in, tmp_path / name)
    shutil.copy(made / "calibration.toml", tmp_path)
    monkeypatch.chdir(tmp_path)
    for words in lines(page):
        if words[0] == "ls":
            continue
        assert words[:2] == ["python", "-m"]
        command = COMMANDS[words[2]]
        assert command([*words[3:], *(FAST if command is lift.main else [])]) == 0
    (folder,) = tmp_path.glob("*_3d")
    points = np.load(folder / "points3d.npz")["points"]
    assert np.isfinite(points).mean() > 0.9


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_a_page_lists_are_like_those(made, page):
    """The network's name is shortened."""
    listing = next(f.text for f in fences(ROOT / "docs" / f"{page}.md")).splitlines()[0]
    listed = listing.partition("#")[2].split()
    folder = made / PAGES[page][0]
    folder = folder / "mouse1" if page == "from_anipose" else folder
    there = sorted(
        re.sub(r"(DLC_Resnet50_mouse).*(\.\w+)$", r"\1\2", p.name) for p in folder.iterdir()
    )
    assert listed == there
