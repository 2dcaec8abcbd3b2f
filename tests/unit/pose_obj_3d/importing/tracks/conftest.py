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
        # `extractall` takes a filter from Python 3.11.4 on; Debian 12 has 3.11.2.
        for member in archive:
            file = archive.extractfile(member)
            assert file is not None, f"{member.name} is no file"
            (folder / member.name).parent.mkdir(parents=True, exist_ok=True)
            (folder / member.name).write_bytes(file.read())
    return folder


@pytest.fixture(scope="session")
def known(made):
    """What was written: truth (T, A, K, 3) [m], points (V, T, A, K, 2) [px], confidence."""
    with np.load(made / "truth.npz") as archive:
        return SimpleNamespace(**{name: archive[name] for name in archive.files})
