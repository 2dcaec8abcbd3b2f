"""Make the repository importable whichever way pytest is started; one thread for tiny tensors."""

import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))
# A second CPU thread only waits for tensors of this size, on a busy machine for long.
torch.set_num_threads(1)
