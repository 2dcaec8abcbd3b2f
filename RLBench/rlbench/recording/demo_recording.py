"""Records a demonstration while a scene makes it."""

from collections.abc import Callable

from rlbench.backend.observation import Observation
from rlbench.backend.scene import Scene
from rlbench.demo import BACKGROUND, add_names


def recorded(
    scene: Scene, observe: Callable[[], Observation], seen: Callable[[Observation], None]
) -> tuple[list[Observation], list[int], dict[int, str]]:
    """Let a scene, whose episode has begun, make a demonstration.

    Args:
        scene: what demonstrates.
        observe: returns the present moment.
        seen: called with each observation as it is made.

    Returns:
        The observations; the index of the one at which each waypoint was reached; the
        `Demo.mask_names`.

    Raises:
        DemoError: it failed.
    """
    observations: list[Observation] = []
    frames: list[int] = []
    names = {0: BACKGROUND}

    def record() -> None:
        add_names(names, scene.engine.mask_names())
        observations.append(observe())
        seen(observations[-1])

    scene.demonstrate(record, lambda: frames.append(len(observations) - 1))
    return observations, frames, names
