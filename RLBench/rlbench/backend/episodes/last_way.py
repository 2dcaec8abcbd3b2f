"""The last movement of a demonstration: it ends a little early where its end would undo success.

Some of RLBench's scenes push things into a target that is hardly larger than they are, up to its
far edge: a tenth of a millimetre more and a block has left it. Their last waypoint is such an edge.
"""

from collections.abc import Callable

from rlbench.engines.protocols import ArmPath, Engine

SHORT = (0.002, 0.005, 0.010, 0.015)
"""How far before the last waypoint [m] the arm may come to rest."""
REST_STEPS = 10
"""Steps granted to the arm to come to rest at the end of a way."""


def come_to_rest(path: ArmPath, step: Callable[[], None]) -> None:
    """Wait until the arm stands at the end of its way: servos lag, and what it meets gives way.

    Frames at waypoints, and the last one, are labels: of a moving arm they would be wrong.
    """
    for _ in range(REST_STEPS):
        if path.settle():
            return
        step()


def end_where_fulfilled(engine: Engine, path: ArmPath, is_fulfilled: Callable[[], bool]) -> ArmPath:
    """Return the way to play: `path`, or a little less of it if only that fulfils the task.

    Plays the way, and comes back: the engine and `path` are as before. Less is taken only where the
    task is fulfilled on the way and no longer once the arm rests at its end.

    Args:
        engine: the simulation, at the start of the way.
        path: to the last waypoint.
        is_fulfilled: asks the task.
    """
    if path.shortened(0.0) is None:
        return path
    start = engine.get_state()
    for short in (0.0, *SHORT):
        trial = path.shortened(short)
        assert trial is not None
        was_fulfilled = False
        while not trial.step():
            engine.step()
            was_fulfilled |= is_fulfilled()
        come_to_rest(trial, engine.step)
        is_good = is_fulfilled()
        engine.set_state(start)
        if is_good or not was_fulfilled:
            return (path.shortened(short) or path) if is_good and short else path
    return path
