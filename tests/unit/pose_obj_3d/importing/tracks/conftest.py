"""Files of other tools, unpacked once: `make_files.py` says how they were made."""

import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

PACKED = Path(__file__).with_name("tool_files.tar.xz")


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """The folder of all files; no test may write there."""
    folder = tmp_path_factory.mktemp("tool_files")
    with tarfile.open(PACKED) as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.fixture(scope="session")
def known(made):
    """What was written: truth (T, A, K, 3) [m], points (V, T, A, K, 2) [px], confidence."""
    with np.load(made / "truth.npz") as archive:
        return SimpleNamespace(**{name: archive[name] for name in archive.files})
