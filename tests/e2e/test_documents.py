"""Every block of README and docs/ that is not marked runs, in a copy of the repository.

Small settings: the copy's configs ask for little, and `SMALL` shortens what commands are given.
"""

import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.document_pages import ROOT, RUN, Fence, fences

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

PAGES = [
    "README.md",
    "docs/generate.md",
    "docs/train.md",
    "docs/own_videos.md",
    "docs/results.md",
    "docs/calibration_files.md",
    "docs/pixels.md",
    "docs/rlbench.md",
    "docs/pyrep.md",
    "docs/stepping.md",
    "docs/acting.md",
    "docs/formats.md",
    "docs/extend.md",
]
EXPECTED = {
    "README.md": ["3 of 3 episodes", "linear triangulation (DLT)"],
    "docs/extend.md": [
        "| lift_cube | 1 | 2/2 | 2/2 |",
        "| raise_cube | 1 | 2/2 | 2/2 |",
        "3 of 3 episodes",
    ],
    "docs/train.md": ["model: STC (unsupervised)"],
}
"""What the commands of a page must have printed."""
SMALL = [
    (r"--episodes \d+", "--episodes 2 --not_every_variation"),
    (r"(make_example_tracks \S+)$", r"\1 --examples 2"),
    (r"(lift --points2d \S+)", r"\1 --no_pictures"),
    (r"--train$", "--train --epochs 1"),
    (r"--num_envs 2 --steps 50", "--num_envs 1 --steps 5"),
]
PIXELS = "quickstart/config_{}quickstart_pixels"
LEFT_OUT = shutil.ignore_patterns(
    ".*", "__pycache__", "*.egg-info", "log", "checkpoint", "docs", "tests", "build"
)
NO_SET_UP = """
say() { echo "== $*"; }
set_up() { :; }
"""


def replace(path, *changes):
    """Replace patterns in a file; each must be there."""
    text = path.read_text(encoding="utf-8")
    for pattern, new in changes:
        text, n = re.subn(pattern, new, text)
        assert n, f"{pattern} is not in {path.name}"
    path.write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """Copy the repository, with configs that ask for little; archives are linked."""
    folder = tmp_path_factory.mktemp("clone") / "repository"

    def copy(source, target):
        if source.endswith(".npz"):
            Path(target).symlink_to(source)
        else:
            shutil.copy2(source, target)

    def left_out(where, names):
        made = set()  # by commands
        if Path(where) == ROOT / "data_generation" / "RLBench":
            made = {"data"}
        elif Path(where) == ROOT / "pose_obj_3d" / "data":
            made = set(names) - {"RLBench_pose_est_data"}
        return LEFT_OUT(where, names) | made

    shutil.copytree(ROOT, folder, ignore=left_out, copy_function=copy)
    (folder / ".ci").mkdir()
    (folder / ".ci" / "environment.sh").write_text(NO_SET_UP, encoding="utf-8")
    tiny = [(r'"obs_dim": \[256, 256, 3\]', '"obs_dim": [64, 64, 3]')]
    few = [(r'"n_ex_per_task": \d+', '"n_ex_per_task": 3'), *tiny]
    one_task = [(r'"(train|test)_task_ids": \[[\d, ]+\]', r'"\1_task_ids": [0]'), *few]
    replace(folder / "configs" / "dataset_config.json", *one_task)
    replace(folder / "configs" / "quickstart.json", (r'"cams": \[.*?\]', '"cams": []'), *few)
    eight = [(r'"n_ex_per_task": \d+', '"n_ex_per_task": 8'), *tiny]
    for config in ("pixels_dataset", "looks_dataset"):
        replace(folder / "configs" / f"{config}.json", *eight)
    # The task of the shortest demonstrations, and small detectors that learn for seconds.
    reach = (r'"train_task_ids": \[9\]', '"train_task_ids": [0]')
    replace(folder / "configs" / "quickstart_pixels.json", reach, *eight)
    detector = folder / "pose_obj_3d" / "cfg" / "quickstart" / "detector_quickstart_pixels.yaml"
    small = (r"MINUTES: \d+", "STEPS: 300\nNETWORK: {WIDTH: 8, DEPTH: 1}")
    replace(detector, (r"TASK: 9", "TASK: 0"), small)
    one_epoch = (r"NUM_EPOCHES: \d+", "NUM_EPOCHES: 1")
    for config in ("submit/config_{}waypoints_task_0", "quickstart/config_{}quickstart", PIXELS):
        for kind in ("", "u_"):
            path = folder / "pose_obj_3d" / "cfg" / f"{config.format(kind)}.yaml"
            replace(path, one_epoch, *([(r"'T9'", "'T0'")] if config is PIXELS else []))
    (folder / "bin").mkdir()
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    return folder


def run(clone, fence: Fence) -> str:
    """Run a block from the clone's root; return what it printed."""
    if fence.language == "python":
        (clone / "block.py").write_text(fence.text, encoding="utf-8")
        script = "python block.py"
    else:
        script = fence.text
        for pattern, new in SMALL:
            script = re.sub(pattern, new, script, flags=re.MULTILINE)
    result = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=clone,
        env={
            # As a reader has it; and the copy's lines are not those that coverage counts.
            **{k: v for k, v in os.environ.items() if not k.startswith(("COV", "RLBENCH"))},
            "PATH": f"{clone / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "PYTHONPATH": f"{clone}{os.pathsep}{clone / 'RLBench'}",
            "LP_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
        },
        capture_output=True,
        text=True,
        timeout=450,
        check=False,
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, f"block of line {fence.line}:\n{script}\n{said}"
    return said


@pytest.fixture(scope="module")
def done():
    """What the blocks have printed that pages share."""
    return {}


@pytest.mark.parametrize("page", PAGES)
def test_blocks_run(clone, done, page):
    said = []
    for fence in fences(ROOT / page):
        if fence.mark == "file":
            (clone / fence.note).parent.mkdir(parents=True, exist_ok=True)
            (clone / fence.note).write_text(fence.text, encoding="utf-8")
        elif fence.mark is None and fence.language in RUN:
            if fence.text not in done:
                done[fence.text] = run(clone, fence)
            said.append(done[fence.text])
    assert said
    for line in EXPECTED.get(page, ()):
        assert line in "".join(said)


def test_quickstart_ends_with_a_table(clone):
    said = run(clone, Fence("bash", "bash quickstart.sh\n", None, "", 0))
    table = said.split("Errors in mm")[-1]
    assert "linear triangulation (DLT)" in table
    assert "model: STC (unsupervised)" in table


def test_quickstart_from_pixels_ends_with_a_table(clone):
    said = run(clone, Fence("bash", "bash quickstart.sh --pixels\n", None, "", 0))
    table = said.split("Errors in mm")[-1]
    assert "T0 8 examples written to" in said
    assert "pictures/detections.mp4" in said
    assert "linear triangulation (DLT)" in table
    assert "model: STC (unsupervised)" in table


def test_the_archive_with_detections_is_made_by_one_script(clone):
    script = "data_generation/RLBench/make_detected_data.sh"
    settings = "STEPS=3 FOLDS=2 EXAMPLES=6 TASKS=0 N_PROCESSES=2"
    settings += " CONFIG=configs/looks_dataset.json NAME=looks"
    block = Fence("bash", f"{settings} bash {script} ready\n", None, "", 0)
    assert "and 1 pictures written" in run(clone, block)
    assert {path.name for path in (clone / "ready").rglob("*.*")} == {
        "sim_all_detected.npz",
        "detected_T0.jpg",
    }
    again = run(clone, block)
    assert "holds these detections already" in again
    assert "Fold" not in again  # nothing is trained twice
    other = dataclasses.replace(block, text=block.text.replace("FOLDS=2", "FOLDS=3"))
    with pytest.raises(AssertionError, match="was begun with FOLDS=2 STEPS=3, not FOLDS=3 STEPS=3"):
        run(clone, other)


def test_all_pages_with_blocks_are_run():
    """A page with blocks to run is in the list above."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    with_blocks = {
        page.relative_to(ROOT).as_posix()
        for page in pages
        if any(f.mark is None and f.language in RUN for f in fences(page))
    }
    assert with_blocks == set(PAGES)
