"""Moments of a MuJoCo simulation: saving them, and bringing them back."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import mujoco
import numpy as np

from pyrep_mujoco.scene.graph import SceneGraph
from pyrep_mujoco.scene.welds import Welds
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.world import MUTABLE, Changes, Field, Flags, World

Made = TypeVar("Made")
_PHYSICS = mujoco.mjtState.mjSTATE_INTEGRATION


class MakesShapes(Protocol[Made]):
    """What makes shapes while a task runs, and can bring back which there were."""

    def snapshot(self) -> Made:
        """Return what `restore` needs."""

    def restore(self, saved: Made, /) -> None:
        """Bring back the model, and the made shapes, of a saved moment."""


@dataclass(frozen=True)
class State(Generic[Made]):
    """A moment of the simulation, complete.

    Attributes:
        physics: MuJoCo's own state.
        model: the model's fields that may change.
        parents: body -> what it hangs on.
        followers: see `SceneGraph`.
        held: see `Welds`.
        held_from: see `Welds`.
        solid: (geoms,) those that collide.
        changes: what is no field of the model.
        made: shapes that were made.
    """

    physics: Floats
    model: dict[str, Field]
    parents: dict[int, int]
    followers: dict[int, Floats]
    held: dict[int, Floats]
    held_from: dict[int, int]
    solid: Flags
    changes: Changes
    made: Made


class StateKeeper(Generic[Made]):
    """Saves moments of one simulation and brings them back."""

    def __init__(
        self, world: World, graph: SceneGraph, welds: Welds, shapes: MakesShapes[Made]
    ) -> None:
        self._world, self._graph, self._welds, self._shapes = world, graph, welds, shapes

    def save(self) -> State[Made]:
        """Return everything that `restore` needs."""
        world, graph, welds = self._world, self._graph, self._welds
        made = self._shapes.snapshot()
        physics = np.empty(mujoco.mj_stateSize(world.model, _PHYSICS))
        mujoco.mj_getState(world.model, world.data, physics, _PHYSICS)
        return State(
            physics,
            {name: getattr(world.model, name).copy() for name in MUTABLE},
            dict(world.parents),
            dict(graph.followers),
            dict(welds.held),
            dict(welds.held_from),
            world.solid.copy(),
            world.changes.copy(),
            made,
        )

    def restore(self, state: State[Made]) -> None:
        """Bring a saved moment back."""
        world, graph, welds = self._world, self._graph, self._welds
        welds.held = {}
        self._shapes.restore(state.made)
        for name, value in state.model.items():
            getattr(world.model, name)[:] = value
        world.parents, graph.followers = dict(state.parents), dict(state.followers)
        welds.held, welds.held_from = dict(state.held), dict(state.held_from)
        world.solid[:] = state.solid
        world.changes = state.changes.copy()
        mujoco.mj_resetData(world.model, world.data)
        mujoco.mj_setState(world.model, world.data, state.physics, _PHYSICS)
        mujoco.mj_forward(world.model, world.data)
