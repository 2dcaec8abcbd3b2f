"""Makes decoded scenes for tests, compiles them, and tells where things are."""

import mujoco
import numpy as np

from pyrep_mujoco.ttm.mjcf.writer import write_scene
from pyrep_mujoco.ttm.reading import model as ttm
from pyrep_mujoco.ttm.reading import parts
from rlbench.engines.mujoco import MujocoEngine

HEADER = ttm.Header(22, 18, True, 0, 40000, 0, True)
GREY = parts.Color((0.2, 0.4, 0.6), (0.1, 0.1, 0.1), (0, 0, 0), 12, 1.0, "")
CORNERS = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], float) / 2
QUADS = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
FACES = np.array([[q[0], q[i], q[i + 1]] for q in QUADS for i in (1, 2)], np.int32)


def at(x=0.0, y=0.0, z=0.0):
    T = np.eye(4)
    T[:3, 3] = x, y, z
    return T


def box(name, handle, parent=None, pose=None, size=(0.1, 0.1, 0.1), dynamic=False, **extra):
    size = np.array(size, float)
    form = parts.Primitive("cuboid", size, 0.0)
    part = parts.Part(
        name,
        CORNERS * size,
        FACES,
        np.zeros((12, 3, 3)),
        np.eye(4),
        form,
        GREY,
        None,
        False,
        True,
        False,
        0.5,
    )
    x, y, z = size**2
    defaults = {
        "parts": [part],
        "is_compound": False,
        "is_convex": True,
        "mass": 0.5,
        "inertia_pose": np.eye(4),
        "principal_moments": 0.5 / 12 * np.array([y + z, x + z, x + y]),
        "is_dynamic": dynamic,
        "is_respondable": True,
        "special": ttm.COLLIDABLE | ttm.MEASURABLE | ttm.DETECTABLE | ttm.RENDERABLE,
        "layers": 1,
    }
    pose = np.eye(4) if pose is None else pose
    return ttm.Shape(name=name, handle=handle, parent=parent, pose=pose, **{**defaults, **extra})


def joint(name, handle, parent, pose=None, kind="revolute", **extra):
    defaults = {
        "value": 0.0,
        "lower": -1.0,
        "upper": 1.0,
        "is_cyclic": False,
        "mode": "dynamic",
        "motor_on": False,
        "position_loop": False,
        "spring_loop": False,
        "is_hybrid": False,
        "locks_at_zero": False,
        "target_velocity": 0.0,
        "max_force": 1.0,
        "target_position": 0.0,
        "pid": np.zeros(3),
        "spring": np.array([1.0, 0.1]),
        "velocity_limit": 1.0,
    }
    pose = np.eye(4) if pose is None else pose
    return ttm.Joint(
        name=name, handle=handle, parent=parent, pose=pose, kind=kind, **{**defaults, **extra}
    )


def dummy(name, handle, parent=None, pose=None, **extra):
    pose = np.eye(4) if pose is None else pose
    return ttm.Dummy(name=name, handle=handle, parent=parent, pose=pose, size=0.01, **extra)


def scene_of(*objects):
    return ttm.Scene("test.ttm", HEADER, list(objects), {})


def compiled(*objects):
    xml, files, left = write_scene(scene_of(*objects), "test")
    spec = mujoco.MjSpec.from_string(xml, assets=files)
    texts = {text.name: text.data for text in spec.texts}
    return spec.compile(), texts, left


def engine_of(folder, *objects):
    xml, files, _ = write_scene(scene_of(*objects), "test")
    path = folder / "scene.xml"
    path.write_text(xml, encoding="utf-8")
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return MujocoEngine(path)


def world_of(model, name, **values):
    data = mujoco.MjData(model)
    for key, value in values.items():
        data.qpos[model.joint(key).qposadr[0]] = value
    mujoco.mj_kinematics(model, data)
    body = model.body(name).id
    return data.xpos[body], data.xmat[body].reshape(3, 3)
