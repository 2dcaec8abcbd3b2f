"""One thread for tiny tensors: a second one only waits, on a busy machine for long.

Trainings draw no pictures, half of their time, but in tests that use the fixture `drawn`.
"""

import pytest
import torch

from pose_obj_3d.training.logs import RunLog

torch.set_num_threads(1)


@pytest.fixture
def drawn():
    """Let trainings draw their pictures."""


@pytest.fixture(autouse=True)
def _no_pictures(request, monkeypatch):
    if "drawn" not in request.fixturenames:
        monkeypatch.setattr(RunLog, "figure", lambda log, name, *_: log.folder / f"{name}.png")
