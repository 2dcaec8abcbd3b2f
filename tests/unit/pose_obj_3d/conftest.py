"""Make the repository importable whichever way pytest is started."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

import torch  # noqa: E402

# Tensors of tests are tiny: a second CPU thread only waits, on a busy machine for long.
torch.set_num_threads(1)
