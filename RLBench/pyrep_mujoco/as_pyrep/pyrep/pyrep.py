"""The simulator: one scene at a time, launched, stepped and shut down."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pyrep.backend import utils
from pyrep.const import Verbosity
from pyrep.errors import PyRepError
from pyrep.objects.object import Object, to_type
from pyrep.objects.shape import Shape
from pyrep.textures.texture import Texture
from pyrep_mujoco.session import current as sessions
from pyrep_mujoco.session.configuration import restore_tree
from pyrep_mujoco.session.files.export import export
from pyrep_mujoco.session.objects import shape_making, textures
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.stand_ins.base_scene import robot_beside
from pyrep_mujoco.vision.sensors import vision_sensors

LONGEST_STEP = 10.0
"""CoppeliaSim takes no longer step either [s]."""


class PyRep:
    """A simulation on MuJoCo.

    Attributes:
        running: it was started, and not stopped.
        connected: PyRep's attribute; without meaning.
    """

    def __init__(self) -> None:
        """Prepare; `launch` opens a scene."""
        self.running = False
        self.connected = False
        self._session: Session | None = None

    def _open(self) -> Session:
        if self._session is None:
            raise PyRepError("CoppeliaSim has not been launched. Call launch first.")
        return self._session

    # ---- life ---------------------------------------------------------------------------

    def launch(
        self,
        scene_file: str = "",
        headless: bool = False,
        responsive_ui: bool = False,
        blocking: bool = False,
        verbosity: Verbosity = Verbosity.NONE,
    ) -> None:
        """Open a scene.

        Args:
            scene_file: `.ttt`, `.ttm` or MJCF (`.xml`) file; empty for an empty scene. Where only
                RLBench's base scene is missing in a checkout, one of ours is opened.
            headless: no effect: there is no window.
            responsive_ui: no effect.
            blocking: no effect.
            verbosity: no effect.

        Raises:
            PyRepError: the file is missing or is no scene, or a simulator runs in this process.
        """
        path = Path(scene_file)
        if scene_file and not path.is_file() and robot_beside(path) is None:
            raise PyRepError(f"Scene file does not exist: {scene_file}")
        self._session = sessions.launch(scene_file or None)

    def shutdown(self) -> None:
        """Close the scene.

        Raises:
            PyRepError: none is open.
        """
        session = self._open()
        self.stop()
        vision_sensors.close(session)
        sessions.close(session)
        self._session = None

    def start(self) -> None:
        """Start the simulation, if it was not started.

        Raises:
            PyRepError: no scene is open.
        """
        self._open().start()
        self.running = True

    def stop(self) -> None:
        """Stop the simulation, if it was started: everything goes back to where it was then.

        Objects that came since are removed, as CoppeliaSim does.

        Raises:
            PyRepError: no scene is open.
        """
        self._open().stop()
        self.running = False

    def step(self) -> None:
        """Simulate one step; nothing where the simulation was not started."""
        with utils.step_lock:
            self._open().step()

    def step_ui(self) -> None:
        """Do nothing: there is no window."""
        self._open()

    def set_simulation_timestep(self, dt: float) -> None:
        """Set the duration of a step [s], 0.05 at first; above 10 s a warning says that it stays.

        Raises:
            PyRepError: it is not a positive number.
        """
        if not (np.isfinite(dt) and dt > 0):
            raise PyRepError(f"a step takes a positive number of seconds, found {dt}")
        if dt > LONGEST_STEP:
            now = self.get_simulation_timestep()
            text = f"a step takes at most {LONGEST_STEP:g} s, found {dt:g}: it stays {now:g} s"
            warnings.warn(text, stacklevel=2)
            return
        self._open().physics.set_timestep(dt)

    def get_simulation_timestep(self) -> float:
        """Return the duration of a step [s]."""
        return self._open().physics.step_seconds

    # ---- the scene ----------------------------------------------------------------------

    def import_model(self, filename: str) -> Object:
        """Add a model.

        Args:
            filename: `.ttm` or MJCF (`.xml`) file.

        Returns:
            Its base.

        Raises:
            PyRepError: the file is missing, or is no model.
        """
        name = filename.removesuffix("@copy")
        return to_type(self._open().import_model(name))

    def export_scene(self, filename: str) -> None:
        """Write the scene as MJCF into a file of that name; a warning says so."""
        export(self._open(), filename)

    def set_configuration_tree(self, config_tree: bytes) -> None:
        """Bring back what `Object.get_configuration_tree` kept."""
        restore_tree(self._open(), config_tree)

    def group_objects(self, objects: list[Shape]) -> Shape:
        """Make one shape of several, each a part of it; return it, in the place of the last one."""
        handles = [obj.get_handle() for obj in objects]
        return Shape(shape_making.group(self._open(), handles, merge=False))

    def merge_objects(self, objects: list[Shape]) -> Shape:
        """Make one mesh of several shapes; return it, in the place of the last one."""
        handles = [obj.get_handle() for obj in objects]
        return Shape(shape_making.group(self._open(), handles, merge=True))

    def create_texture(
        self,
        filename: str,
        interpolate: bool = True,
        decal_mode: bool = False,
        repeat_along_u: bool = False,
        repeat_along_v: bool = False,
    ) -> tuple[Shape, Texture]:
        """Add a plane of 1 m that shows an image; return it and its texture.

        Args:
            filename: of the image.
            interpolate: no effect: images are drawn smoothly.
            decal_mode: the plane's own colour is not mixed in.
            repeat_along_u: the image goes on beyond its sides.
            repeat_along_v: the image goes on above and below.

        Raises:
            PyRepError: the file is missing, or holds no image.
        """
        use = textures.worn(
            interpolate=interpolate,
            decal=decal_mode,
            repeat_u=repeat_along_u,
            repeat_v=repeat_along_v,
        )
        plane = Shape(shape_making.create_textured_plane(self._open(), filename, use))
        return plane, plane.get_texture()

    def get_objects_in_tree(
        self, root_object: Object | int | None = None, *args: Any, **kwargs: Any
    ) -> list[Object]:
        """Return the objects of a tree.

        Args:
            root_object: None for all of the scene.
            args: object_type: the kind wanted; exclude_base: leave the root out;
                first_generation_only: only what hangs right on the root.
            kwargs: the same by name.
        """
        self._open()
        return Object._get_objects_in_tree(root_object, *args, **kwargs)

    def get_collection_handle_by_name(self, collection_name: str) -> int:
        """Return the number of a collection.

        Raises:
            PyRepError: the scene has none of that name.
        """
        return self._open().collection(collection_name)

    def script_call(
        self, function_name_at_script_name: str, script_handle_or_type: int, *_: Any, **__: Any
    ) -> None:
        """Refuse: scenes' scripts do not run here.

        Raises:
            PyRepError: always; it names the function.
        """
        utils.script_call(function_name_at_script_name, script_handle_or_type)
