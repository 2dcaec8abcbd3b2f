"""Controls of the actuators within one observation step, written before it is simulated."""

import numpy as np

from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import Ints, World


class Controls:
    """What the actuators are told in each step of physics of the next observation step.

    Attributes:
        substeps: steps of physics in one observation step.
    """

    def __init__(self, world: World, substeps: int) -> None:
        self._world, self.substeps = world, substeps
        self._rows: Floats | None = None

    @property
    def step_seconds(self) -> float:
        """Duration of an observation step [s]."""
        return float(self._world.model.opt.timestep * self.substeps)

    def rows(self) -> Floats:
        """Return the (substeps, actuators) controls of the next step, for writing."""
        if self._rows is None:
            self._rows = np.tile(self._world.data.ctrl, (self.substeps, 1))
        return self._rows

    def hold(self, actuators: Ints, values: Floats) -> None:
        """Let (n,) actuators hold `values` from now on, also in a step that is already written."""
        self._world.data.ctrl[actuators] = values
        if self._rows is not None:
            self._rows[:, actuators] = values

    def take(self) -> Floats | None:
        """Return what was written for the next step, None where nothing was, and forget it."""
        rows, self._rows = self._rows, None
        return rows
