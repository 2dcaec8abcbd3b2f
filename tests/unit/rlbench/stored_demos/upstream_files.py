"""Demonstrations as RLBench writes them, of three moments and small images."""

import io
import pickle

import numpy as np
from PIL import Image

from rlbench.backend import const
from rlbench.backend.utils import float_array_to_rgb_image
from rlbench.observation_config import RLBENCH_CAMERAS

FRAMES, NEAR, FAR = 3, 0.01, 4.5
WIDTH, HEIGHT = 12, 8
READINGS = {
    "joint_velocities": np.arange(7.0),
    "joint_positions": np.arange(7.0) / 3,
    "joint_forces": np.arange(7, dtype=">f4"),
    "gripper_open": 1.0,
    "gripper_pose": np.array([0.1, 0.2, 0.3, 0, 0, 0, 1]),
    "gripper_matrix": np.asfortranarray(np.eye(4) + np.arange(16).reshape(4, 4)),
    "gripper_joint_positions": np.full(2, 0.04),
    "gripper_touch_forces": np.zeros(6),
    "task_low_dim_state": np.arange(14.0),
}
STATE = ("MT19937", np.arange(624, dtype=np.uint32), 5, 0, 0.0)


def misc():
    K = np.array([[-20.0, 0, WIDTH / 2], [0, -20.0, HEIGHT / 2], [0, 0, 1]])
    pose = np.diag([-1.0, -1, 1, 1])  # the sensor's x is left, y up: camera axes are the world's
    pose[:3, 3] = 0.5, 0, 0
    cameras = {}
    for name in RLBENCH_CAMERAS:
        values = {"extrinsics": pose, "intrinsics": K, "near": NEAR, "far": FAR}
        cameras |= {f"{name}_camera_{key}": value for key, value in values.items()}
    return {**cameras, "variation_index": 2, "joint_poses": [np.arange(7.0)] * 7}


class _Pickled:
    """Stands for a class of RLBench's in what is written."""


def stored_class(module, name):
    """A class that is pickled under another module's name."""
    return type(name, (_Pickled,), {"__module__": module})


def upstream_demo(readings=None, moments=None):
    """Pickle as RLBench does, whose classes have other attributes than ours."""
    demo, moment = (
        stored_class(f"rlbench.{m}", n)
        for m, n in (("demo", "Demo"), ("backend.observation", "Observation"))
    )
    made = []
    for i in range(FRAMES):
        obs = moment()
        images = {
            f"{c}_{k}": None for c in RLBENCH_CAMERAS for k in (*const.IMAGE_KINDS, "point_cloud")
        }
        vars(obs).update(images, misc=misc(), **(readings or READINGS))
        obs.joint_positions = READINGS["joint_positions"] + i
        made.append(obs)
    whole = demo()
    vars(whole).update(
        _observations=made if moments is None else moments, random_seed=STATE, num_reset_attempts=2
    )
    return whole, (demo, moment)


def dumped(whole, classes, protocol=4):
    """Pickle objects of classes that are not where they say they are."""

    class Pickler(pickle._Pickler):
        def save_global(self, obj, name=None):
            if obj in classes:
                self.write(f"c{obj.__module__}\n{obj.__name__}\n".encode())
                self.memoize(obj)
            else:
                super().save_global(obj, name)

    out = io.BytesIO()
    pickler = Pickler(out, protocol)
    pickler.dispatch = {**pickler.dispatch, type: Pickler.save_global}
    pickler.dump(whole)
    return out.getvalue()


def depth_share(i):
    return np.linspace(0.1, 0.9, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH) / (i + 1)


def write_episode(folder, content):
    folder.mkdir(parents=True)
    (folder / const.LOW_DIM_PICKLE).write_bytes(content)
    for camera in RLBENCH_CAMERAS:
        for kind in const.IMAGE_KINDS:
            (folder / const.image_folder(camera, kind)).mkdir()
        for i in range(FRAMES):
            name = const.IMAGE_FORMAT % i
            colour = np.full((HEIGHT, WIDTH, 3), 40 * i, np.uint8)
            handles = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
            handles[: HEIGHT // 2] = (44, 1, 0)  # 300
            Image.fromarray(colour).save(folder / f"{camera}_rgb" / name)
            float_array_to_rgb_image(depth_share(i), const.DEPTH_SCALE).save(
                folder / f"{camera}_depth" / name
            )
            Image.fromarray(handles).save(folder / f"{camera}_mask" / name)
