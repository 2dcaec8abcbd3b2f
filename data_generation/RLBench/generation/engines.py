"""The simulators that the commands know, by name; each is loaded where it is opened."""

import importlib

from data_generation.RLBench.config import DatasetConfig
from data_generation.RLBench.errors import DataGenerationError
from data_generation.RLBench.generation.demo_source import DemoSource

SIMULATOR = "data_generation.RLBench.generation.simulator"  # module with `open_source`


def open_mujoco(config: DatasetConfig, seed: int, **options: str | None) -> DemoSource:
    """Open the MuJoCo simulator; imported here so that only workers load it.

    Args:
        config: What episodes hold.
        seed: Of the data set.
        options: `rlbench_root`, `tasks_from`, `robot_setup` of `rlbench.Environment`.
    """
    return _open(config, seed, engine="mujoco", **options)


def open_coppeliasim(config: DatasetConfig, seed: int, **options: str | None) -> DemoSource:
    """Open CoppeliaSim through PyRep, one in each worker; arguments as of `open_mujoco`."""
    return _open(config, seed, engine="coppeliasim", **options)


def _open(config: DatasetConfig, seed: int, **options: str | None) -> DemoSource:
    try:
        module = importlib.import_module(SIMULATOR)
    except ModuleNotFoundError as error:
        if error.name not in ("rlbench", "mujoco", "ompl"):
            raise
        raise DataGenerationError(
            f"package {error.name} is not installed; pip install -r RLBench/requirements.txt"
            " ./RLBench"
        ) from None
    source: DemoSource = module.open_source(config, seed, **options)
    return source


ENGINES = {"mujoco": open_mujoco, "coppeliasim": open_coppeliasim}
