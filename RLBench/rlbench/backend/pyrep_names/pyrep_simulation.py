"""PyRep's simulation object, as task files see it in `self.pyrep`."""

from typing import Any

from rlbench.backend.exceptions import SceneError
from rlbench.backend.pyrep_names.scene_context import current_engine
from rlbench.const import DEMO_DT
from rlbench.engines.object_types import ObjectType
from rlbench.engines.protocols import Engine


class PyRep:
    """The running simulation of the current scene."""

    def __init__(self, engine: Engine | None = None) -> None:
        """Stand for `engine`, by default for the current scene's."""
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine."""
        return current_engine() if self._engine is None else self._engine

    def step(self) -> None:
        """Advance 50 ms."""
        self.engine.step()

    def step_ui(self) -> None:
        """Do nothing: a viewer shows every step by itself."""

    def get_simulation_timestep(self) -> float:
        """Return the seconds of a step."""
        return DEMO_DT

    def get_objects_in_tree(
        self,
        root_object: Any = None,
        object_type: ObjectType = ObjectType.ALL,
        exclude_base: bool = True,
        first_generation_only: bool = False,
    ) -> list[Any]:
        """Return the objects below `root_object`, or of the whole scene; as an object's own."""
        engine = self.engine
        if root_object is not None:
            root = (
                engine.object_of_handle(root_object)
                if isinstance(root_object, int)
                else root_object
            )
            return list(root.get_objects_in_tree(object_type, exclude_base, first_generation_only))
        found = [*map(engine.object, engine.object_names()), *engine.task_joints()]
        if first_generation_only:
            found = [obj for obj in found if obj.get_parent() is None]
        return [o for o in found if object_type in {ObjectType.ALL, o.get_type()}]

    def __getattr__(self, name: str) -> Any:
        """Refuse what belongs to CoppeliaSim itself."""
        if name.startswith("_"):
            raise AttributeError(name)
        raise SceneError(
            f"PyRep.{name} belongs to CoppeliaSim, which is not what runs here; scenes are loaded "
            "by rlbench.environment.Environment"
        )
