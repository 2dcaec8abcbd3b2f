"""A moment of a MuJoCo simulation: what of the model and its data makes it up."""

from dataclasses import dataclass

import numpy as np

from pyrep_mujoco.objects.shape import Changes
from pyrep_mujoco.objects.shape_maker import Snapshot
from pyrep_mujoco.transforms import Floats

MUTABLE = (
    "body_pos",
    "body_quat",
    "geom_rgba",
    "geom_matid",
    "geom_contype",
    "geom_conaffinity",
    "geom_group",
    "eq_data",
    "eq_obj1id",
    "eq_solref",
    "eq_solimp",
    "body_mass",
    "body_inertia",
    "body_invweight0",
    "dof_invweight0",
    "dof_frictionloss",
    "dof_solimp",
)
"""Model fields that an episode may change; restored on reset and kept in saved states."""
CARRIED = (
    "qpos",
    "qvel",
    "act",
    "ctrl",
    "qfrc_applied",
    "xfrc_applied",
    "qacc_warmstart",
    "eq_active",
)
"""Arrays of the state that go over to another model of the same scene."""


def carry(source: np.ndarray, target: np.ndarray) -> None:
    """Copy as much of an array as both have."""
    n = min(len(source), len(target))
    target[:n] = source[:n]


@dataclass(frozen=True)
class State:
    """A moment of the simulation, complete."""

    physics: Floats
    model: dict[str, np.ndarray]
    parents: dict[int, int]
    followers: dict[int, Floats]
    held: dict[int, Floats]
    held_from: dict[int, int]
    solid: np.ndarray
    changes: Changes
    made: Snapshot
