"""Records a demonstration while a scene makes it."""

from collections.abc import Callable

from rlbench.backend.observation import Observation
from rlbench.backend.scene import Scene
from rlbench.demo import BACKGROUND, add_names


def recorded(
    scene: Scene,
    observe: Callable[[], Observation],
    seen: Callable[[Observation], None],
    first_frames: int | None = None,
) -> tuple[list[Observation], list[int], dict[int, str]]:
    """Let a scene, whose episode has begun, make a demonstration.

    Args:
        scene: what demonstrates.
        observe: returns the present moment.
        seen: called with each observation as it is made.
        first_frames: no more observations are made after so many; the demonstration goes on.

    Returns:
        The observations; the index of the one at which each waypoint was reached, without those
        that were reached later; the `Demo.mask_names`.

    Raises:
        DemoError: it failed.
    """
    observations: list[Observation] = []
    frames: list[int] = []
    names = {0: BACKGROUND}

    steps = 0

    def record() -> None:
        nonlocal steps
        steps += 1
        if first_frames is not None and steps > first_frames:
            return
        add_names(names, scene.engine.mask_names())
        observations.append(observe())
        seen(observations[-1])

    def reached() -> None:
        if steps == len(observations):
            frames.append(steps - 1)

    scene.demonstrate(record, reached)
    return observations, frames, names
