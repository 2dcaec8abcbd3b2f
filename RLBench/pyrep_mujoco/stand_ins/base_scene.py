"""What is loaded where RLBench's base scene is missing.

`task_design.ttt` is large, and copies of RLBench that pass through mirrors, archives or shallow
tools may lack it, while the robot's model beside it is there. A scene with the same names, poses,
cameras, table and walls then takes its place.
"""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pyrep_mujoco.stand_ins.surfaces import Look, box, sheet
from pyrep_mujoco.transforms import quat_wxyz_to_matrix, transform
from pyrep_mujoco.ttm.reading.model import (
    COLLIDABLE,
    DETECTABLE,
    MEASURABLE,
    RENDERABLE,
    Dummy,
    Light,
    Scene,
    SceneObject,
    Shape,
    VisionSensor,
)
from pyrep_mujoco.ttm.reading.parts import Material, Part, Texture
from pyrep_mujoco.ttm.reading.reader import read_scene

BASE_SCENE = "task_design.ttt"
"""RLBench's name of the scene that every task is loaded into."""
_ROBOT = Path("robot_ttms") / "panda.ttm"
_TEXTURES = Path(__file__).with_name("textures")
_PICTURES = _WOOD, _TILES, _HEXAGONS = ("wood.png", "tiles.png", "hexagons.png")
_DRAWN, _HIDDEN, _FRAME = 1, 256, 4
"""Layers: of what is drawn, of what is only touched, of dummies."""
_TOUCHED = COLLIDABLE | MEASURABLE | DETECTABLE
_FRICTION = 0.7
_PLAIN = Look((1.0, 1.0, 1.0))
_FRAME_WOOD = Look((0.5, 0.36, 0.18))
_HALF = float(np.sqrt(0.5))
_SHADED, _HANDLES = 7, 2
"""Render modes: colours with shadows, and handles as colours."""
Vector = tuple[float, float, float]
Turn = tuple[float, float, float, float]
_STRAIGHT: Turn = (1, 0, 0, 0)

logger = logging.getLogger(__name__)


def robot_beside(missing: Path) -> Path | None:
    """Return the robot's file beside a base scene that is missing; None where nothing stands in."""
    robot = missing.parent / _ROBOT
    return robot if missing.name == BASE_SCENE and robot.is_file() else None


def base_scene(missing: Path) -> Scene:
    """Return what takes the place of a missing base scene, its robot included; log one line.

    Args:
        missing: the scene file that was asked for; `robot_beside` knows its robot.

    Raises:
        TtmError: the robot's file cannot be read.
    """
    robot = read_scene(missing.parent / _ROBOT)
    logger.warning(
        "%s is missing; a scene with the same names, cameras, table and walls stands in for it, "
        "with the robot of %s",
        missing,
        missing.parent / _ROBOT,
    )
    ours = _Builder(str(missing), 1 + max(robot.by_handle), 1 + max(robot.textures, default=0))
    return ours.build_with(robot)


class _Builder:
    """Collects objects and pictures, with numbers from a first one on."""

    def __init__(self, source: str, first_handle: int, first_picture: int) -> None:
        self._source = source
        self._first = first_handle
        self._objects: list[SceneObject] = []
        self._pictures = {name: first_picture + i for i, name in enumerate(_PICTURES)}

    def build_with(self, robot: Scene) -> Scene:
        """Return the scene, followed by all that a robot's file holds."""
        self._floor()
        # Neither drawn nor solid: RLBench places tasks on it. Its edges are those that recorded
        # masks show; older scenes have a larger one.
        self._shape("workspace", None, [sheet(_PLAIN, 0.65, 0.91)], (0.25, 0, 0.752))
        self._table()
        self._walls()
        self._cameras()
        self._lights()
        textures = {number: _picture(name, number) for name, number in self._pictures.items()}
        return Scene(
            self._source,
            replace(robot.header, is_model=False),
            [*self._objects, *map(_as_in_scene, robot.objects)],
            {**textures, **robot.textures},
            missing=robot.missing,
        )

    def _floor(self) -> None:
        top = self._dummy("ResizableFloor_5_25", None, (0, 0, 0))
        solid = [box(_PLAIN, (5, 5, 0.04), (0, 0, 0))]
        slab = self._solid("ResizableFloor_5_25_element", top, solid, (0, 0, -0.02))
        name = "ResizableFloor_5_25_visibleElement"
        tiles = [sheet(self._look(_TILES, 5.0), 5, 5)]
        self._shape(name, slab, tiles, (0, 0, 0.02), special=RENDERABLE)

    def _table(self) -> None:
        # Solid far beyond what is drawn: nothing that is knocked off the table falls.
        slab = [box(_PLAIN, (2.8192, 3.2908, 0.1), (0, 0, 0))]
        table = self._solid("diningTable", None, slab, (0.3, 0, 0.7))
        parts = [sheet(self._look(_WOOD), 1.6, 1.1)]
        parts.append(box(_FRAME_WOOD, (1.6, 1.1, 0.024), (0, 0, -0.013)))
        for y in (-0.48, 0.48):
            parts.append(box(_FRAME_WOOD, (1.4, 0.025, 0.07), (0, y, -0.06)))
            parts += [box(_FRAME_WOOD, (0.07, 0.07, 0.725), (x, y, -0.3875)) for x in (-0.73, 0.73)]
        name = "diningTable_visible"
        self._shape(name, table, parts, (0, 0, 0.05), special=RENDERABLE)

    def _walls(self) -> None:
        wall = [sheet(self._look(_HEXAGONS), 5, 3)]
        turned = (_HALF, -_HALF, 0, 0)
        first = self._shape("Wall1", None, wall, (0, -2.5, 1.502), turned, RENDERABLE)
        for name, place, turn in (
            ("Wall2", (0, 0, 5), (0, 0, 1, 0)),
            ("Wall3", (-2.5, 0, 2.5), (_HALF, 0, _HALF, 0)),
            ("Wall4", (2.5, 0, 2.5), (_HALF, 0, -_HALF, 0)),
        ):
            self._shape(name, first, wall, place, turn, RENDERABLE)
        roof = [sheet(Look((0.9, 0.9, 0.88)), 5, 5)]
        self._shape("Roof", first, roof, (0, -1.5, 2.5), (0, 0, -_HALF, -_HALF), RENDERABLE)
        # Drawn only where a script asks for it, as randomised scenes do.
        upright = (_HALF, _HALF, 0, 0)
        tiles = [sheet(self._look(_TILES, 5.0), 5, 5)]
        self._shape("Floor", first, tiles, (0, 1.674992, 2.5), upright)
        self._dummy("FloorAnchor", first, (0, 1.499993, 2.5), upright)

    def _cameras(self) -> None:
        for name, place, turn, far in (
            (
                "cam_over_shoulder_left",
                (-0.175, 0.2, 1.979999),
                (0.16580258, 0.7478861, 0.62755094, 0.13912476),
                3.2,
            ),
            (
                "cam_over_shoulder_right",
                (-0.174997, -0.2, 1.979992),
                (0.13912485, 0.62755088, 0.74788616, 0.16580247),
                3.2,
            ),
            (
                "cam_front",
                (1.349999, 0, 1.579999),
                (0.37992814, 0.5963679, -0.5963676, -0.37992844),
                4.5,
            ),
            (
                "cam_overhead",
                (-0.174997, 0, 2.429994),
                (0.1530461, 0.69034544, 0.69034556, 0.15304601),
                3.3,
            ),
        ):
            camera = self._camera(name, None, place, turn, far)
            self._camera(f"{name}_mask", camera, (0, 0, 0), (1, 0, 0, 0), far)
        base = self._dummy("cam_cinematic_base", None, (0.4, 0, 0.752))
        turned = (0.27059812, 0.65328151, -0.65328139, -0.27059812)
        self._dummy("cam_cinematic_placeholder", base, (1.274999, 0, 1.528), turned)

    def _lights(self) -> None:
        lights = self._dummy("DefaultLights", None, (0, 0, 0))
        for letter, place, turn, diffuse, specular in (
            ("D", (0.318826, 0.05221, 2.897629), (0, -1, 0, 0), 0.2, 0.36),
            (
                "A",
                (1.299983, -1.075006, 1.899976),
                (0.07510252, 0.5908519, -0.71555579, -0.36501172),
                0.2,
                0.5,
            ),
            (
                "B",
                (0.160571, 1.300978, 1.731357),
                (0.31870508, 0.94770943, 0.01412448, 0.00862592),
                0.3,
                0.9,
            ),
        ):
            light = Light(
                **self._place(f"DefaultLight{letter}", lights, place, turn),
                kind="directional",
                is_on=True,
                diffuse=(diffuse,) * 3,
                specular=(specular,) * 3,
                cutoff=float(np.pi / 2),
                attenuation=(1.0, 0.0, 0.0),
                layers=16,
            )
            self._objects.append(light)

    # ---- objects ------------------------------------------------------------------------

    def _look(self, picture: str, repeats: float = 1.0) -> Look:
        return Look((1.0, 1.0, 1.0), self._pictures[picture], (repeats, repeats))

    def _place(
        self, name: str, parent: int | None, place: Vector, turn_wxyz: Turn
    ) -> dict[str, Any]:
        pose = transform(np.array(place, float), quat_wxyz_to_matrix(np.array(turn_wxyz, float)))
        handle = self._first + len(self._objects)
        return {"name": name, "handle": handle, "parent": parent, "pose": pose}

    def _dummy(
        self, name: str, parent: int | None, place: Vector, turn_wxyz: Turn = _STRAIGHT
    ) -> int:
        where = self._place(name, parent, place, turn_wxyz)
        dummy = Dummy(**where, size=0.01, layers=_FRAME)
        self._objects.append(dummy)
        return dummy.handle

    def _shape(
        self,
        name: str,
        parent: int | None,
        parts: list[Part],
        place: Vector,
        turn_wxyz: Turn = _STRAIGHT,
        special: int = 0,
        is_solid: bool = False,
    ) -> int:
        shape = Shape(
            **self._place(name, parent, place, turn_wxyz),
            parts=parts,
            is_compound=len(parts) > 1,
            is_convex=len(parts) == 1,
            mass=1.0,
            inertia_pose=np.eye(4),
            principal_moments=np.full(3, 0.1),
            is_dynamic=False,
            is_respondable=is_solid,
            material=Material("", bullet_friction=_FRICTION),
            special=special,
            layers=_HIDDEN if is_solid else _DRAWN,
        )
        self._objects.append(shape)
        return shape.handle

    def _solid(self, name: str, parent: int | None, parts: list[Part], place: Vector) -> int:
        return self._shape(name, parent, parts, place, special=_TOUCHED, is_solid=True)

    def _camera(
        self, name: str, parent: int | None, place: Vector, turn_wxyz: Turn, far: float
    ) -> int:
        camera = VisionSensor(
            **self._place(name, parent, place, turn_wxyz),
            angle=float(np.deg2rad(40)),
            ortho_size=0.01,
            near=0.01,
            far=far,
            resolution=(128, 128),
            is_perspective=True,
            render_mode=_HANDLES if name.endswith("_mask") else _SHADED,
            layers=8,
        )
        self._objects.append(camera)
        return camera.handle


def _as_in_scene(obj: SceneObject) -> SceneObject:
    """Let the wrist's cameras see as far as in RLBench's scene; the robot's own file differs."""
    return replace(obj, far=3.5) if isinstance(obj, VisionSensor) else obj


def _picture(name: str, number: int) -> Texture:
    with Image.open(_TEXTURES / name) as picture:
        pixels = np.asarray(picture.convert("RGB"))[::-1].copy()
    return Texture(number, name, pixels)
