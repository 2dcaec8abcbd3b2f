"""Build one MuJoCo model from base scene, robot, task scene and the camera table."""

from dataclasses import dataclass, field
from pathlib import Path

import mujoco

from rlbench.backend.exceptions import SceneError
from rlbench.cameras import CAMERAS, mujoco_camera
from rlbench.sim.robot_model import FIRM, PANDA, RobotModel

PACKAGE = Path(__file__).resolve().parent.parent
TIMESTEP = 0.002


@dataclass(frozen=True)
class Annotations:
    """What MJCF cannot say about objects, read from `<custom><text name="<kind>:<object>"/>`."""

    parents: dict[str, str] = field(default_factory=dict)
    extensions: dict[str, str] = field(default_factory=dict)
    sensors: dict[str, str] = field(default_factory=dict)
    flags: dict[str, frozenset[str]] = field(default_factory=dict)
    joint_values: dict[str, float] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    frictions: dict[str, str] = field(default_factory=dict)


def task_scene_path(task_name: str) -> Path:
    """Return the MJCF file of a built-in task."""
    return PACKAGE / "task_mjcf" / f"{task_name}.xml"


def _parse_texts(spec: mujoco.MjSpec) -> Annotations:
    out = Annotations()
    for text in spec.texts:
        kind, _, name = text.name.partition(":")
        if kind == "parent":
            out.parents[name] = text.data
        elif kind == "ext":
            out.extensions[name] = text.data
        elif kind == "sensor":
            out.sensors[name] = text.data
        elif kind == "flags":
            out.flags[name] = frozenset(text.data.split())
        elif kind == "qpos":
            out.joint_values[name] = float(text.data)
        elif kind == "path":
            out.paths[name] = text.data
        elif kind == "kind":
            out.kinds[name] = text.data
        elif kind == "friction":
            out.frictions[name] = text.data
        else:
            raise SceneError(
                f"custom text {text.name!r} is unknown; allowed are parent:, ext:, sensor:, "
                "flags:, qpos:, path:, kind: and friction: followed by an object's name"
            )
    return out


def compose(scene: Path, robot: RobotModel = PANDA) -> tuple[mujoco.MjModel, Annotations]:
    """Compile base scene + robot + task scene; see `compose_spec`."""
    spec, notes = compose_spec(scene, robot)
    return _compiled(spec, scene), notes


def _compiled(spec: mujoco.MjSpec, scene: Path) -> mujoco.MjModel:
    try:
        return spec.compile()
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise SceneError(f"scene file {scene}: MuJoCo refuses it: {reason}") from error


def compose_spec(scene: Path, robot: RobotModel = PANDA) -> tuple[mujoco.MjSpec, Annotations]:
    """Put base scene + robot + task scene together.

    Every free body gets an inactive weld to the gripper (grasps switch it on), and every
    camera of the table becomes a MuJoCo camera of the same name.

    Args:
        scene: the task's MJCF file.
        robot: the arm and gripper.

    Returns:
        The description, ready to be compiled, and the annotations of all objects.

    Raises:
        SceneError: the file is missing or is not valid MJCF.
    """
    if not scene.is_file():
        raise SceneError(f"scene file {scene.name} not found in {scene.parent}")
    # <include> keeps every file loadable alone, and needs no name prefix (MjSpec.attach does).
    wrapper = "".join(
        f'<include file="{path.as_posix()}"/>'
        for path in (PACKAGE / "base_scene.xml", robot.mjcf, scene)
    )
    try:
        spec = mujoco.MjSpec.from_string(f"<mujoco model='{scene.stem}'>{wrapper}</mujoco>")
        _set_options(spec)
        _add_cameras(spec, robot)
        for body in spec.worldbody.bodies:
            if any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in body.joints):
                add_weld(spec, robot, body.name)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise SceneError(f"scene file {scene}: MuJoCo refuses it: {reason}") from error
    notes = _parse_texts(spec)
    _set_frictions(spec, notes.frictions)
    return spec, notes


def _set_frictions(spec: mujoco.MjSpec, frictions: dict[str, str]) -> None:
    """Change the sliding friction of whole objects, those of the base scene too."""
    for name, text in frictions.items():
        body = spec.body(name)
        try:
            friction = float(text)
        except ValueError:
            friction = -1.0
        if body is None or not friction >= 0:
            raise SceneError(
                f"custom text friction:{name} = {text}: it must name an object, and be a number >= 0"
            )
        for geom in body.geoms:
            geom.friction[0] = friction


def _set_options(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = TIMESTEP
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10
    # Weight per clip plane, not per model extent: the walls would push the near plane out.
    spec.visual.map.znear = 0.01
    spec.visual.map.zfar = 6.0
    spec.stat.extent = 1.0


def _add_cameras(spec: mujoco.MjSpec, robot: RobotModel) -> None:
    for entry in CAMERAS.values():
        camera = robot.mounted(entry)
        parent = spec.worldbody if camera.parent is None else spec.body(camera.parent)
        position, quat_wxyz = mujoco_camera(camera.T_world_cam())
        parent.add_camera(name=camera.name, pos=position, quat=quat_wxyz, fovy=camera.fov_deg)


def add_weld(spec: mujoco.MjSpec, robot: RobotModel, body: str) -> None:
    """Add the inactive weld by which the hand holds a free body."""
    weld = spec.add_equality(
        name=f"grasp:{body}",
        type=mujoco.mjtEq.mjEQ_WELD,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        name1=robot.hand,
        name2=body,
        active=False,
    )
    weld.solref = [FIRM.seconds, 1.0]
    weld.solimp = [*FIRM.impedance, 0.5, 2.0]
