"""Where a training runs: the GPU or the CPU, and how many threads of it."""

import logging
import os

import torch

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.training import processes

logger = logging.getLogger(__name__)
ONE_THREAD = ("STC", "triangulation")
"""Models of small tensors. On them a second CPU thread gains little, and on a busy machine waiting
for it costs a factor of 3 to 9."""


def choose_device(gpu: str) -> torch.device:
    """Return the CUDA device of that number, or the CPU with one line that says so."""
    if not torch.cuda.is_available():
        logger.info("No CUDA device: running on the CPU")
        return torch.device("cpu")
    if (number := processes.local_device()) is not None:
        gpu = str(number)
    if not (gpu.isascii() and gpu.isdigit()) or int(gpu) >= torch.cuda.device_count():
        raise ConfigError(
            f"GPU {gpu!r} does not exist; {torch.cuda.device_count()} found, numbered from 0"
        )
    return torch.device("cuda", int(gpu))


def uses_bfloat16(choice: str, device: torch.device) -> bool:
    """Decide on bfloat16: as the config says, or where the processor has instructions for it.

    Measured with them: about twice as fast as float32. Without them it is slower.
    """
    if choice != "auto":
        return choice == "on"
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    known = torch.cpu.get_capabilities()
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def set_threads(network_type: str) -> None:
    """Use one CPU thread for models of small tensors, unless `OMP_NUM_THREADS` is set."""
    if network_type in ONE_THREAD and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)
