"""Reads an MJCF file into the objects that a document holds.

Bodies become shapes, or dummies where they have no geoms; hinges, slides and balls become joints,
with motors where they have actuators; sites become dummies; cameras, vision sensors; lights stay.
A body that neither moves nor stands in the world is fixed to its parent.
"""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from pyrep_mujoco import transforms as tf
from pyrep_mujoco.errors import SceneError
from pyrep_mujoco.scene.annotations import read_notes
from pyrep_mujoco.scene.compose import MAX_REASON
from pyrep_mujoco.scene.health import check_model
from pyrep_mujoco.session.files.parts_made import ALL_SPECIAL, part_of_geom
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.reading.model import (
    Dummy,
    Header,
    Joint,
    Light,
    Scene,
    SceneObject,
    Shape,
    VisionSensor,
)
from pyrep_mujoco.ttm.reading.parts import Texture
from pyrep_mujoco.world import Notes

_JOINTS = {
    int(mujoco.mjtJoint.mjJNT_HINGE): "revolute",
    int(mujoco.mjtJoint.mjJNT_SLIDE): "prismatic",
    int(mujoco.mjtJoint.mjJNT_BALL): "spherical",
}
_LIGHTS = {
    int(mujoco.mjtLightType.mjLIGHT_DIRECTIONAL): "directional",
    int(mujoco.mjtLightType.mjLIGHT_SPOT): "spot",
}
_ANY_FORCE = 1e3
"""Greatest force [N m or N] of a motor whose file sets none."""
_FLIP = np.diag([-1.0, 1.0, -1.0, 1.0])
"""MuJoCo's cameras look along -z with +x right, vision sensors along +z with +x left."""


def read_mjcf(path: Path) -> Scene:
    """Read an MJCF file.

    Raises:
        SceneError: MuJoCo refuses it, or it has more than one joint in a body.
    """
    try:
        spec = _parse(path)
        notes = read_notes(spec)
        model = spec.compile()
    except (ValueError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())[:MAX_REASON]
        raise SceneError(f"scene file {path}: MuJoCo refuses it: {reason}") from error
    check_model(model, path)
    return _Reader(path, model, notes).read()


def _parse(path: Path) -> mujoco.MjSpec:
    """Parse an MJCF file; MuJoCo itself goes by the name's end."""
    if path.suffix.lower() in (".xml", ".mjcf"):
        return mujoco.MjSpec.from_file(str(path))
    spec = mujoco.MjSpec.from_string(path.read_text())
    spec.modelfiledir = str(path.absolute().parent)
    return spec


class _Reader:
    """Reads one compiled model."""

    def __init__(self, path: Path, model: mujoco.MjModel, notes: Notes) -> None:
        self._path, self._model, self._notes = path, model, notes
        self._data = mujoco.MjData(model)
        for name, value in notes.joint_values.items():
            self._data.qpos[model.joint(name).qposadr[0]] = value
        mujoco.mj_kinematics(model, self._data)
        self._objects: list[SceneObject] = []
        self._handles: dict[str, int] = {}
        self._bodies: dict[int, int | None] = {0: None}
        self._world: dict[int | None, Floats] = {None: np.eye(4)}
        self._motors = _motors(model)

    def read(self) -> Scene:
        """Return the objects of the file."""
        model = self._model
        if model.body_geomnum[0] > 0:
            self._enter(self._shape(0, "ground", np.eye(4), None), np.eye(4))
        for body in range(1, model.nbody):
            self._read_body(body)
        self._read_frames()
        self._apply_parents()
        textures = {i: self._texture(i) for i in range(model.ntex)}
        header = Header(0, 0, False, 0, 0, 0, is_model=False)
        return Scene(str(self._path), header, self._objects, textures)

    def _enter(self, obj: SceneObject, T: Floats) -> int:
        """Take an object in at (4, 4) object to world; `pose` becomes that in its parent."""
        obj.handle = len(self._objects) + 1
        stem, number = obj.name, 0
        while obj.name in self._handles:
            obj.name, number = f"{stem}#{number}", number + 1
        self._objects.append(obj)
        self._handles[obj.name] = obj.handle
        self._world[obj.handle] = T
        obj.pose = tf.invert(self._world[obj.parent]) @ T
        return obj.handle

    # ---- bodies -------------------------------------------------------------------------

    def _read_body(self, body: int) -> None:
        model = self._model
        name = model.body(body).name or f"body{body}"
        parent = self._bodies[int(model.body_parentid[body])]
        T = tf.transform(self._data.xpos[body], self._data.xmat[body].reshape(3, 3))
        first, count = int(model.body_jntadr[body]), int(model.body_jntnum[body])
        if count > 1:
            raise SceneError(
                f"{self._path}: body {name!r} has {count} joints; bodies with one are read: put "
                "each further joint into a body of its own"
            )
        is_free = count == 1 and model.jnt_type[first] == mujoco.mjtJoint.mjJNT_FREE
        if count == 1 and not is_free:
            parent = self._read_joint(first, parent, T)
        if model.body_geomnum[body] == 0 and not is_free:
            flags = self._notes.flags.get(name, frozenset())
            base = "model" in flags
            dummy = Dummy(name=name, handle=0, parent=parent, pose=T, size=0.01, is_model_base=base)
            self._bodies[body] = self._enter(dummy, T)
            return
        shape = self._shape(body, name, T, parent)
        shape.is_dynamic = count == 1
        self._bodies[body] = self._enter(shape, T)

    def _shape(self, body: int, name: str, T: Floats, parent: int | None) -> Shape:
        model = self._model
        start = int(model.body_geomadr[body])
        geoms = range(start, start + int(model.body_geomnum[body]))
        flags = self._notes.flags.get(name)
        solid = [g for g in geoms if model.geom_contype[g] | model.geom_conaffinity[g]]
        special = ALL_SPECIAL
        if flags is not None:
            bits = {"collidable": 1, "measurable": 2, "detectable": 0x1F0, "renderable": 512}
            special = sum(bit for word, bit in bits.items() if word in flags)
        # Twice the same surface, once to see and once to touch: the one to see is enough.
        drawn = [g for g in geoms if model.geom_group[g] < 3] or list(geoms)
        frame = tf.transform(model.body_ipos[body], tf.quat_wxyz_to_matrix(model.body_iquat[body]))
        return Shape(
            name=name,
            handle=0,
            parent=parent,
            pose=T,
            extension=self._notes.extensions.get(name, ""),
            special=special,
            layers=1,
            is_model_base=flags is not None and "model" in flags,
            parts=[part_of_geom(model, g) for g in drawn],
            is_compound=len(drawn) > 1,
            is_convex=False,
            mass=float(model.body_mass[body]) or 1.0,
            inertia_pose=frame,
            principal_moments=model.body_inertia[body].copy(),
            is_dynamic=False,
            is_respondable=bool(solid),
        )

    def _read_joint(self, number: int, parent: int | None, T_body: Floats) -> int:
        model = self._model
        kind = _JOINTS[int(model.jnt_type[number])]
        name = model.joint(number).name or f"joint{number}"
        value = float(self._data.qpos[model.jnt_qposadr[number]]) if kind != "spherical" else 0.0
        limited = bool(model.jnt_limited[number]) and kind != "spherical"
        motor, stiffness = self._motors.get(number), float(model.jnt_stiffness[number])
        damping = float(model.dof_damping[model.jnt_dofadr[number]])
        given = self._notes.joint_frames.get(name)
        R = _axes(model.jnt_axis[number]) if given is None else given
        lower, upper = model.jnt_range[number] if limited else (-np.pi, np.pi)
        joint = Joint(
            name=name,
            handle=0,
            parent=parent,
            pose=np.eye(4),
            kind=kind,
            value=value,
            lower=float(lower),
            upper=float(upper),
            is_cyclic=not limited,
            mode="dynamic",
            motor_on=motor is not None or stiffness > 0,
            position_loop=stiffness > 0 if motor is None else motor.keeps_position,
            spring_loop=motor is None and stiffness > 0,
            is_hybrid=True,
            locks_at_zero=False,
            target_velocity=0.0,
            max_force=_ANY_FORCE if motor is None else motor.force,
            target_position=value
            if motor is not None or stiffness == 0
            else float(model.qpos_spring[model.jnt_qposadr[number]]),
            pid=np.array([0.1, 0.0, 0.0]),
            spring=np.array([stiffness, damping]),
            velocity_limit=10.0,
            quaternion=np.array([1.0, 0.0, 0.0, 0.0]) if kind == "spherical" else None,
            damping=damping,
        )
        moved = T_body @ tf.transform(model.jnt_pos[number], R)
        handle = self._enter(joint, moved @ tf.invert(joint.motion))
        self._world[handle] = moved
        return handle

    # ---- frames -------------------------------------------------------------------------

    def _read_frames(self) -> None:
        """Read sites, cameras and lights."""
        model, data = self._model, self._data
        for site in range(model.nsite):
            name = model.site(site).name
            if not name or name.endswith("_site"):
                continue
            T = tf.transform(data.site_xpos[site], data.site_xmat[site].reshape(3, 3))
            parent = self._bodies[int(model.site_bodyid[site])]
            self._enter(Dummy(name=name, handle=0, parent=parent, pose=T, size=0.01), T)
        mujoco.mj_camlight(model, data)
        for camera in range(model.ncam):
            self._read_camera(camera)
        for light in range(model.nlight):
            self._read_light(light)

    def _read_camera(self, camera: int) -> None:
        model, data = self._model, self._data
        T = tf.transform(data.cam_xpos[camera], data.cam_xmat[camera].reshape(3, 3)) @ _FLIP
        sensor = VisionSensor(
            name=model.camera(camera).name or f"camera{camera}",
            handle=0,
            parent=self._bodies[int(model.cam_bodyid[camera])],
            pose=T,
            angle=float(np.deg2rad(model.cam_fovy[camera])),
            ortho_size=1.0,
            near=0.01,
            far=10.0,
            resolution=(128, 128),
            is_perspective=True,
        )
        self._enter(sensor, T)

    def _read_light(self, light: int) -> None:
        model, data = self._model, self._data
        T = tf.transform(data.light_xpos[light], _axes(data.light_xdir[light]))
        red, green, blue = (float(v) for v in model.light_diffuse[light])
        shine = tuple(float(v) for v in model.light_specular[light])
        fade = tuple(float(v) for v in model.light_attenuation[light])
        source = Light(
            name=model.light(light).name or f"light{light}",
            handle=0,
            parent=self._bodies[int(model.light_bodyid[light])],
            pose=T,
            kind=_LIGHTS.get(int(model.light_type[light]), "omni"),
            is_on=bool(model.light_active[light]),
            diffuse=(red, green, blue),
            specular=(shine[0], shine[1], shine[2]),
            cutoff=float(np.deg2rad(model.light_cutoff[light])),
            attenuation=(fade[0], fade[1], fade[2]),
        )
        self._enter(source, T)

    def _apply_parents(self) -> None:
        """Hang objects on what the file's notes say."""
        by_handle = {obj.handle: obj for obj in self._objects}
        for child, parent in self._notes.parents.items():
            if child not in self._handles or parent not in self._handles:
                raise SceneError(
                    f"{self._path}: the note parent:{child} = {parent} names what is not there"
                )
            obj, above = by_handle[self._handles[child]], self._handles[parent]
            obj.parent = above
            obj.pose = tf.invert(self._world[above]) @ self._world[obj.handle]

    def _texture(self, number: int) -> Texture:
        model = self._model
        start = int(model.tex_adr[number])
        shape = (model.tex_height[number], model.tex_width[number], model.tex_nchannel[number])
        pixels = model.tex_data[start : start + int(np.prod(shape))].reshape(shape)
        return Texture(number, model.texture(number).name, pixels[::-1].copy())


@dataclass(frozen=True)
class _Motor:
    """An actuator of a joint: whether it goes to a position, and its greatest force."""

    keeps_position: bool
    force: float


def _motors(model: mujoco.MjModel) -> dict[int, _Motor]:
    """Return the motors of a model by the joint that each drives."""
    found = {}
    for number in range(model.nu):
        if model.actuator_trntype[number] != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        joint = int(model.actuator_trnid[number, 0])
        ranges = [
            model.actuator_forcerange[number] * bool(model.actuator_forcelimited[number]),
            model.jnt_actfrcrange[joint] * bool(model.jnt_actfrclimited[joint]),
        ]
        force = next((float(r[1]) for r in ranges if r[1] > 0), _ANY_FORCE)
        found[joint] = _Motor(bool(model.actuator_biasprm[number, 1] != 0), force)
    return found


def _axes(z: Floats) -> Floats:
    """Return a (3, 3) rotation with a given z axis."""
    x = np.cross([0.0, 1.0, 0.0] if abs(z[1]) < 0.9 else [1.0, 0.0, 0.0], z)
    x /= np.linalg.norm(x)
    return np.stack([x, np.cross(z, x), z], axis=1)
