"""Build one MuJoCo model from base scene, robot, task scene and the camera table."""

from collections.abc import Sequence
from pathlib import Path

import mujoco

from pyrep_mujoco.constants import SCENE_FILE
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.robots.robot_model import FIRM, RobotModel
from pyrep_mujoco.scene.annotations import read_notes
from pyrep_mujoco.scene.health import check_model
from pyrep_mujoco.vision.cameras import CameraSpec, mujoco_camera
from pyrep_mujoco.world import Notes

TIMESTEP = 0.002
MAX_REASON = 250
"""Characters of MuJoCo's own messages that ours repeat."""


def scene_label(scene: Path) -> str:
    """Return what messages call a scene: its file, or the folder that it was converted into."""
    return scene.absolute().parent.name if scene.name == SCENE_FILE else scene.name


def compose(
    scene: Path, robot: RobotModel, base: Path, cameras: Sequence[CameraSpec] = ()
) -> tuple[mujoco.MjModel, Notes]:
    """Compile base scene + robot + task scene; see `compose_spec`."""
    spec, notes = compose_spec(scene, robot, base, cameras)
    return _compiled(spec, scene), notes


def _compiled(spec: mujoco.MjSpec, scene: Path) -> mujoco.MjModel:
    try:
        model = spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        raise SceneError(f"scene file {scene}: MuJoCo refuses it: {_reason(error)}") from error
    check_model(model, scene)
    return model


def _reason(error: Exception) -> str:
    """Return the first of what MuJoCo says: it may tell a fault of every triangle of a mesh."""
    return " ".join(str(error).split())[:MAX_REASON]


def compose_spec(
    scene: Path, robot: RobotModel, base: Path, cameras: Sequence[CameraSpec] = ()
) -> tuple[mujoco.MjSpec, Notes]:
    """Put base scene + robot + task scene together.

    Every free body gets an inactive weld to the gripper (grasps switch it on), and every
    camera becomes a MuJoCo camera of the same name.

    Args:
        scene: the task's MJCF file.
        robot: the arm and gripper.
        base: MJCF of what surrounds every task: table, floor, lights.
        cameras: that the scene can be seen by; those of the Panda's hand ride on the robot's.

    Returns:
        The description, ready to be compiled, and the annotations of all objects.

    Raises:
        SceneError: a file is missing, or the scene is not valid MJCF.
    """
    for kind, file in (("scene", scene), ("robot", robot.mjcf), ("base scene", base)):
        if not file.is_file():
            raise SceneError(f"{kind} file {file.name} not found in {file.parent}")
    # <include> keeps every file loadable alone, and needs no name prefix (MjSpec.attach does).
    wrapper = "".join(f'<include file="{path.as_posix()}"/>' for path in (base, robot.mjcf, scene))
    try:
        spec = mujoco.MjSpec.from_string(f"<mujoco model='{scene.stem}'>{wrapper}</mujoco>")
        _set_options(spec)
        _add_cameras(spec, robot, cameras)
        for body in spec.worldbody.bodies:
            if any(joint.type == mujoco.mjtJoint.mjJNT_FREE for joint in body.joints):
                add_weld(spec, robot.hand, body.name)
    except (ValueError, mujoco.FatalError) as error:
        raise SceneError(f"scene file {scene}: MuJoCo refuses it: {_reason(error)}") from error
    notes = read_notes(spec)
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
                f"custom text friction:{name} = {text}: it must name an object, and be a number"
                " >= 0"
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


def _add_cameras(spec: mujoco.MjSpec, robot: RobotModel, cameras: Sequence[CameraSpec]) -> None:
    for entry in cameras:
        camera = robot.mounted(entry)
        parent = spec.worldbody if camera.parent is None else spec.body(camera.parent)
        position, quat_wxyz = mujoco_camera(camera.T_world_cam())
        parent.add_camera(name=camera.name, pos=position, quat=quat_wxyz, fovy=camera.fov_deg)


def add_weld(spec: mujoco.MjSpec, hand: str, body: str) -> None:
    """Add the inactive weld by which the hand holds a free body."""
    weld = spec.add_equality(
        name=f"grasp:{body}",
        type=mujoco.mjtEq.mjEQ_WELD,
        objtype=mujoco.mjtObj.mjOBJ_BODY,
        name1=hand,
        name2=body,
        active=False,
    )
    weld.solref = [FIRM.seconds, 1.0]
    weld.solimp = [*FIRM.impedance, 0.5, 2.0]
