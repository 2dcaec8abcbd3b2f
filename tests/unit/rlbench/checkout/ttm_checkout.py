"""Writes a robot and task scenes of our own as binary files: a whole checkout."""

import numpy as np

from tests.unit.pyrep_mujoco.ttm import ttm_files as tf
from tests.unit.pyrep_mujoco.ttm.ttm_scenes import CORNERS, FACES
from tests.unit.rlbench.checkout.checkout_files import write_task

HALF = np.sqrt(0.5)
TURNS = {0: (1, 0, 0, 0), 90: (HALF, HALF, 0, 0), -90: (HALF, -HALF, 0, 0)}
"""Quaternions wxyz about x, by degrees."""
FRANKA = [
    (0, 0.333, 0, (-2.8973, 2.8973), 0.0),
    (0, 0, -90, (-1.7628, 1.7628), 0.1745),
    (0, 0.316, 90, (-2.8973, 2.8973), 0.0),
    (0.0825, 0, 90, (-3.0718, -0.0698), -0.8029),
    (-0.0825, 0.384, -90, (-2.8973, 2.8973), 0.0),
    (0, 0, 90, (-0.0175, 3.7525), 1.2217),
    (0.088, 0, 90, (-2.8973, 2.8973), 0.7854),
]
"""Denavit-Hartenberg a [m], d [m], alpha [degrees] (modified), limits and saved pose [rad]."""
LINKS = [
    ((0.09, 0.09, 0.12), (0, -0.03, -0.08)),
    ((0.09, 0.12, 0.09), (0, -0.07, 0.03)),
    ((0.09, 0.09, 0.10), (0.03, 0.02, -0.07)),
    ((0.09, 0.10, 0.09), (-0.04, 0.04, 0.03)),
    ((0.07, 0.07, 0.16), (0, 0.04, -0.15)),
    ((0.10, 0.08, 0.08), (0.05, 0, 0)),
    ((0.06, 0.06, 0.03), (0, 0, 0.07)),
]
"""Size and centre [m] of a box for each link."""
ROOT = (-0.268, -0.0064, 0.75)
DYNAMIC, SOLID = 0x80, 1
SPECIAL, LAYERS = 0x0FF3, 1


class Meshes:
    """Collects the vertices of boxes; all share their triangles and normals."""

    def __init__(self):
        self.sizes = []

    def box(self, size, place=(0, 0, 0), mass=0.5, rgb=(0.9, 0.9, 0.9), **changes):
        """A mesh of a box, not named as a pure form."""
        self.sizes.append((np.asarray(size, float), np.asarray(place, float)))
        squares = np.square(size) / 12
        inertia = squares.sum() - squares
        node = tf.node_chunks(
            mass=mass,
            Ine=tf.chunk("Ine", tf.xq(place), tf.f32(*inertia)),
            Vtb=tf.chunk("Vtb", tf.xq()),
        )
        number = {"Vev": tf.chunk("Vev", tf.i32(len(self.sizes) - 1))}
        return tf.leaf(node=node, Cl0=tf.color(rgb=rgb, flags=0, opacity=1.0), **number, **changes)

    def cuboid(self, size, **settings):
        """The same, named as a pure cuboid."""
        return self.box(size, Ppr=tf.chunk("Ppr", tf.i32(3), tf.f32(*size)), **settings)

    def chunks(self):
        """The buffer of all."""
        edges = CORNERS[FACES]
        normals = np.cross(edges[:, 1] - edges[:, 0], edges[:, 2] - edges[:, 0]).astype(int)
        made = [tf.chunk("Ver", tf.f32(*(CORNERS * s + p).ravel())) for s, p in self.sizes]
        made += [tf.chunk("In2", tf.delta_coded(FACES.ravel()))]
        made += [tf.chunk("No2", tf.packed_normals(np.repeat(normals, 3, axis=0)))]
        return tf.buffers(*made)


def at(position, quat=TURNS[0]):
    """The chunk of a place in the parent's frame."""
    return {"Cfq": tf.chunk("Cfq", tf.qx(position, quat))}


def motor(name, handle, parent, limits, value, place, kind=10):
    """A joint as robots have; files hold the lower end and the range."""
    low, high = limits
    return tf.joint(name, handle, parent, kind, value, (low, high - low), **place)


def seen(**place):
    return {
        **place,
        "Omp": tf.chunk("Omp", tf.i32(SPECIAL)),
        "Lar": tf.chunk("Lar", tf.u16(LAYERS)),
    }


def panda():
    """A file with an arm of boxes on Franka's joints, a hand, sensors, a camera and a sticker."""
    meshes, out = Meshes(), []

    def link(name, handle, parent, geometry, **place):
        out.append(tf.shape(name, handle, parent, geometry, DYNAMIC, SOLID, **seen(**place)))

    base = seen(**at(ROOT), Va3=tf.chunk("Va3", tf.u8(1)))
    out.append(
        tf.shape("Panda", 10, -1, meshes.box((0.12, 0.12, 0.1), (0, 0, 0.07)), 0, SOLID, **base)
    )
    for i, ((a, d, alpha, limits, value), (size, centre)) in enumerate(
        zip(FRANKA, LINKS, strict=True)
    ):
        angle = np.deg2rad(alpha)
        place = at((a, -np.sin(angle) * d, np.cos(angle) * d), TURNS[alpha])
        parent = 10 if i == 0 else 29 + i
        out.append(motor(f"Panda_joint{i + 1}", 20 + i, parent, limits, value, place))
        link(f"Panda_link{i + 1}", 30 + i, 20 + i, meshes.box(size, centre))
    out.append(tf.force_sensor("Panda_attachment", 40, 36))
    # The hand is turned by -45 degrees about the flange.
    hand = at((0, 0, 0.1254), (np.cos(np.pi / 8), 0, 0, -np.sin(np.pi / 8)))
    link("Panda_gripper", 41, 40, meshes.box((0.05, 0.19, 0.05), (0, 0, 0.014)), **hand)
    for i, (side, turn) in enumerate((("left", -90), ("right", 90))):
        y = 0.0123 if side == "left" else -0.0087
        track = at((0, y, 0.0712), TURNS[turn])  # its z is the way to open
        out.append(motor(f"Panda_gripper_joint{i + 1}", 42 + i, 41, (0, 0.04), 0.04, track, 11))
        back = at((0, 0, 0), TURNS[-turn])
        finger = meshes.cuboid((0.02, 0.02, 0.04), mass=0.1)
        link(f"Panda_{side}finger_respondable", 44 + i, 42 + i, finger, **back)
    half_turn = (0, 0, 0, 1)
    out.append(tf.dummy("Panda_tip", 46, 41, **at((0, 0.002, 0.09207), half_turn)))
    volume = [0.0, 0.045, 0.02, 0.02, 0.0, 0.0, 0.0, 0.0, 0.0]
    sensor = tf.proximity_sensor("Panda_gripper_attachProxSensor", 47, 41, sizes=volume)
    out += [sensor.replace(tf.chunk("Cfq", tf.qx()), at((0, 0.002, 0.046), half_turn)["Cfq"])]
    out.append(tf.vision_sensor("cam_wrist", 48, 41, pixels=(16, 16)))
    sticker = meshes.box((0.04, 0.04, 0.001), Toj=tf.texture_use(mapping=3, scale=(0.04, 0.04)))
    out.append(tf.shape("Panda_sticker", 49, 10, sticker, 0, 0, **seen(**at((0, 0, 0.121)))))
    return tf.ttm(tf.material("DMA"), tf.texture(), meshes.chunks(), *out)


TOUCH = """
from pyrep.objects.dummy import Dummy
from pyrep.objects.joint import Joint
from pyrep.objects.proximity_sensor import ProximitySensor
from pyrep.objects.shape import Shape
from rlbench.backend.conditions import DetectedCondition
from rlbench.backend.task import Task


class TouchBall(Task):

    def init_task(self):
        self.door = Joint('touch_ball_hinge')
        self.sign = Shape('touch_ball_sign')
        self.register_success_conditions(
            [DetectedCondition(self.robot.arm.get_tip(), ProximitySensor('success'))])

    def init_episode(self, index):
        self.door.set_joint_position(0.1 * index)
        return ['touch the ball']

    def variation_count(self):
        return 2

    def base_rotation_bounds(self):
        return (0, 0, -0.2), (0, 0, 0.2)
"""


def touch_ball():
    """A file with a scene: something to touch, a door, a picture, a sensor and a waypoint."""
    meshes, out = Meshes(), []
    whole = seen(**at((0.25, 0, 0.752)), Va3=tf.chunk("Va3", tf.u8(1)))
    out.append(tf.dummy("touch_ball", 10, **whole))
    post = meshes.cuboid((0.02, 0.02, 0.1))
    out.append(tf.shape("touch_ball_post", 11, 10, post, 0, SOLID, **seen(**at((0.05, 0.1, 0.05)))))
    out.append(tf.joint("touch_ball_hinge", 12, 11, limits=(0.0, 1.5)))
    door = meshes.cuboid((0.08, 0.01, 0.08), mass=0.1)
    out.append(
        tf.shape("touch_ball_door", 13, 12, door, DYNAMIC, SOLID, **seen(**at((0.06, 0, 0))))
    )
    sign = meshes.cuboid((0.04, 0.04, 0.002), Toj=tf.texture_use(mapping=3, scale=(0.04, 0.04)))
    out.append(tf.shape("touch_ball_sign", 14, 10, sign, 0, 0, **seen(**at((-0.05, -0.1, 0.001)))))
    volume = [0.0, 0.06, 0.06, 0.06, 0.06, 0.06, 0.0, 0.0, 0.0]
    sensor = tf.proximity_sensor("success", 15, 10, sizes=volume)
    out += [sensor.replace(tf.chunk("Cfq", tf.qx()), at((0, 0, 0.1))["Cfq"])]
    way = {**at((0, 0, 0.13), (0, 1, 0, 0)), "Rst": tf.chunk("Rst", tf.text("ignore_collisions"))}
    out.append(tf.dummy("waypoint0", 16, 10, **way))
    return tf.ttm(tf.material("DMA"), tf.texture(), meshes.chunks(), *out)


def write_ttm_checkout(root):
    """Write the robot and the task; return `root`."""
    write_task(root, "touch_ball", TOUCH)
    (root / "rlbench" / "task_ttms" / "touch_ball.ttm").write_bytes(touch_ball())
    (root / "rlbench" / "robot_ttms").mkdir()
    (root / "rlbench" / "robot_ttms" / "panda.ttm").write_bytes(panda())
    return root
