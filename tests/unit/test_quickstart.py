"""The trainings that `quickstart.sh --pixels` starts side by side end with it."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "quickstart.sh"
FAKE = """#!{python}
import os, pathlib, sys, time
run = pathlib.Path(sys.argv[sys.argv.index("--log") + 1])
run.joinpath("new").write_text(str(os.getpid()))
run.joinpath("new").rename(run / "pid")
while len(list(run.parent.glob("detector_*/pid"))) < 2:
    time.sleep(0.02)  # both have started
time.sleep({seconds} if run.name == "detector_1" else 0)
sys.exit({code} if run.name == "detector_0" else 0)
"""


def started(folder, seconds, code=0):
    """Start the script's function with a command that sleeps in place of a training."""
    fake = folder / "fake.py"
    fake.write_text(FAKE.format(python=sys.executable, seconds=seconds, code=code))
    fake.chmod(0o755)
    lines = SCRIPT.read_text().splitlines()
    begin = lines.index("train_detectors() {")
    function = "\n".join(lines[begin : lines.index("}", begin) + 1])
    text = f"set -euo pipefail\nPYTHON={fake} folder={folder}\n{function}\ntrain_detectors\n"
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a shell cannot heed what is ignored
    try:
        script = subprocess.Popen(["bash", "-c", text])
    finally:
        signal.signal(signal.SIGHUP, before)
    deadline = time.monotonic() + 30
    while len(list(folder.glob("detector_*/pid"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return script


def is_running(folder):
    pid = int((folder / "detector_1" / "pid").read_text())
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().split()[2] != "Z"
    except FileNotFoundError:
        return False


def waits_for_end(folder):
    deadline = time.monotonic() + 10
    while is_running(folder):
        assert time.monotonic() < deadline, "a training outlived the script"
        time.sleep(0.02)


def test_detectors_that_end_well_are_done(tmp_path):
    assert started(tmp_path, 0.2).wait(30) == 0
    assert len(list(tmp_path.glob("detector_*/done"))) == 2
    assert not is_running(tmp_path)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGHUP])
def test_no_training_outlives_a_killed_script(tmp_path, kind):
    script = started(tmp_path, 60)
    script.send_signal(kind)
    assert script.wait(10) != 0
    waits_for_end(tmp_path)
    assert not (tmp_path / "detector_1" / "done").exists()


def test_one_that_fails_ends_the_other(tmp_path):
    assert started(tmp_path, 60, code=2).wait(10) == 2
    waits_for_end(tmp_path)
    assert not list(tmp_path.glob("detector_*/done"))
