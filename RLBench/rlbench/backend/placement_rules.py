"""The rules by which episodes are placed and demonstrated: ours, and those of RLBench's own tasks.

A task has one of the two sets for good: `Task.rules`, which the loader of RLBench's task files
replaces. Numbers and facts only; `backend.episodes` acts on them.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class BoundaryRules:
    """How objects are put into a boundary.

    Attributes:
        turns_in_own_frame: an object turns about its own axes; else about the world's.
        remembers_ignored: an object placed with `ignore_collisions` is kept apart from others, and
            others from it.
        keeps_older_distance: the distance that an older object asked for counts too; else only that
            of the new one.
    """

    turns_in_own_frame: bool
    remembers_ignored: bool
    keeps_older_distance: bool


@dataclass(frozen=True)
class Rules:
    """How one kind of tasks is placed and demonstrated.

    Attributes:
        boundary: how objects are put into a boundary.
        most_placements: of one episode; then it is given up.
        starts_at_centre: a task saved outside of the workspace is put into its middle, and resets
            keep what `init_task` moved.
        checks_fixed_arm: a task that stays where its scene puts it must not touch the arm at home.
        parts_overlaps: loose things are moved out of what they stand in.
        checks_start: after settling, the waypoints must still be reached, and a way must lead to
            the first.
        checks_paths: a path that the scene draws must be within reach; ours are drawn so.
        checks_lines: a linear waypoint needs a straight line from the waypoint before.
        ends_early: the last way may end a little short, where its end would undo the success.
        looks_along_paths: plans to the start of a path look at the path too.
        near: between waypoints closer than this [m] only a straight line will do.
        extra_steps: granted after the last waypoint for things that still move.
        draws_in_conditions: conditions may draw from the global random generators.
    """

    boundary: BoundaryRules
    most_placements: int
    starts_at_centre: bool
    checks_fixed_arm: bool
    parts_overlaps: bool
    checks_start: bool
    checks_paths: bool
    checks_lines: bool
    ends_early: bool
    looks_along_paths: bool
    near: float
    extra_steps: int
    draws_in_conditions: bool


OUR_RULES = Rules(
    boundary=BoundaryRules(
        turns_in_own_frame=False, remembers_ignored=True, keeps_older_distance=True
    ),
    # 54 % of close_fridge placements are out of reach: five tries would lose 1 demo in 20.
    most_placements=20,
    starts_at_centre=False,
    checks_fixed_arm=True,
    parts_overlaps=False,
    checks_start=False,
    checks_paths=False,
    checks_lines=False,
    ends_early=False,
    looks_along_paths=False,
    near=0.0,
    extra_steps=10,
    draws_in_conditions=False,
)
"""Of the built-in tasks."""

RLBENCH_RULES = Rules(
    boundary=BoundaryRules(
        turns_in_own_frame=True, remembers_ignored=False, keeps_older_distance=False
    ),
    most_placements=100,  # open_microwave needs 30
    starts_at_centre=True,
    checks_fixed_arm=False,
    parts_overlaps=True,
    checks_start=True,
    checks_paths=True,
    checks_lines=True,
    ends_early=True,
    looks_along_paths=True,
    near=0.1,  # a bulb is screwed in
    extra_steps=30,  # a ball is still on its way to the goal
    draws_in_conditions=True,
)
"""Of RLBench's own task files; its scenes were tuned to them."""
