"""RLBench's own files, where they are: all are read, and say what the facts about them say.

Samples are looked for beside this repository; RLBENCH_ROOT names a checkout of RLBench.
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from pyrep_mujoco.transforms import quat_wxyz_to_matrix, transform
from pyrep_mujoco.ttm.describe import type_name
from pyrep_mujoco.ttm.mjcf.paths import fine_points
from pyrep_mujoco.ttm.reading.reader import read_scene

SHARED = Path(__file__).resolve().parents[6] / "shared"
SAMPLES = SHARED / "rlbench_ttm_samples"
FACTS = SHARED / "rlbench_scene_facts"
NAMES = (
    "base_scene.ttt",
    "block_pyramid.ttm",
    "close_box.ttm",
    "close_fridge.ttm",
    "cut_vegetables.ttm",
    "panda.ttm",
    "pick_and_lift.ttm",
    "put_rubbish_in_bin.ttm",
    "reach_target.ttm",
    "take_money_out_safe.ttm",
    "unplug_charger.ttm",
)
WITHOUT_FACTS = {"panda.ttm"}
# Not decoded: collections, old buttons, settings of the simulation.
PASSED_OVER = {"GRP", "BBK", "DYN", "SIM", "COL", "DST", "PPL"}


@pytest.fixture(scope="module", params=NAMES)
def sample(request):
    """(scene, facts by name or None)."""
    file = SAMPLES / request.param
    if not file.is_file():
        pytest.skip(f"the sample {file.name} is not beside this repository")
    return read_scene(file), read_facts(file)


def read_facts(file):
    name = "_base_scene" if file.name == "base_scene.ttt" else file.stem
    facts = FACTS / f"{name}.json"
    if file.name in WITHOUT_FACTS or not facts.is_file():
        return None
    return {fact["name"]: fact for fact in json.loads(facts.read_text())}


def world_of_facts(facts):
    """Chain the facts' local poses; a parent may stand after its children."""
    poses = {}

    def pose_of(name):
        if name not in poses:
            fact = facts[name]
            rotation = quat_wxyz_to_matrix(np.array(fact["local_quat_wxyz"]))
            pose = transform(np.array(fact["local_pos"]), rotation)
            parent = fact["parent"]
            if parent is not None:
                pose = pose_of(parent) @ motion(facts[parent]) @ pose
            poses[name] = pose
        return poses[name]

    return {name: pose_of(name) for name in facts}


def motion(fact):
    if fact["type"] != "joint":
        return np.eye(4)
    value = fact["position"]
    if fact["kind"] == "prismatic":
        return transform(np.array([0, 0, value]), np.eye(3))
    turn = np.array([np.cos(value / 2), 0, 0, np.sin(value / 2)])
    return transform(np.zeros(3), quat_wxyz_to_matrix(turn))


def assert_says_what_the_facts_say(scene, facts):
    assert {obj.name for obj in scene.objects} == set(facts)
    world, expected = scene.world_poses(), world_of_facts(facts)
    for name, fact in facts.items():
        obj = scene.by_name[name]
        parent = None if obj.parent is None else scene.by_handle[obj.parent].name
        assert (type_name(obj), parent) == (fact["type"], fact["parent"]), name
        assert obj.layers == fact["layer"], name
        np.testing.assert_allclose(world[obj.handle], expected[name], atol=1e-4, err_msg=name)
        if fact["type"] == "dummy":
            assert obj.extension == fact.get("extension_string", ""), name
        if fact["type"] in CHECKS:
            CHECKS[fact["type"]](obj, fact)


def check_shape(shape, fact):
    box = shape.bounding_box
    np.testing.assert_allclose(box[::2], fact["bbox_local_min"], atol=1e-4, err_msg=shape.name)
    np.testing.assert_allclose(box[1::2], fact["bbox_local_max"], atol=1e-4, err_msg=shape.name)
    assert shape.mass == pytest.approx(fact["mass_kg"], abs=1e-4)
    assert shape.is_dynamic != fact["static"]
    assert shape.is_respondable == fact["respondable"]
    assert shape.is_visible == fact["visible"]
    for part, expected in zip(shape.parts, fact["parts"], strict=True):
        assert len(part.faces) == expected["triangles"]
        np.testing.assert_allclose(part.color.rgb, expected["rgb"], atol=1e-3)
        kind = part.primitive.kind if part.primitive else None
        assert kind == expected["primitive"]
        if part.primitive:
            np.testing.assert_allclose(part.primitive.size, expected["sizes"], atol=1e-4)


def check_joint(joint, fact):
    assert joint.kind == fact["kind"]
    assert joint.is_cyclic == fact["cyclic"]
    assert joint.motor_on == fact["motor_enabled"]
    got = (joint.lower, joint.upper, joint.value, joint.max_force)
    lower = fact["min"]
    expected = (lower, lower + fact["range"], fact["position"], fact["max_force"])
    assert got == pytest.approx(expected, abs=2e-4)


def check_sensor(sensor, fact):
    assert sensor.kind == fact["volume"]["type"]
    expected = {name: fact["volume"][name] for name in sensor.volume}
    assert sensor.volume == pytest.approx(expected, abs=1e-4)


def check_path(path, fact):
    assert len(fine_points(path)) == fact["path_length_points"]


CHECKS = {
    "shape": check_shape,
    "joint": check_joint,
    "proximity_sensor": check_sensor,
    "path": check_path,
}


def assert_is_sound(scene):
    """Nothing unknown inside of objects; meshes and normals are what they should be."""
    assert set(scene.skipped) <= PASSED_OVER
    assert scene.missing == []
    assert scene.objects
    for pose in scene.world_poses().values():
        np.testing.assert_allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-9)
    for shape in scene.objects:
        for part in getattr(shape, "parts", ()):
            corners = part.vertices[part.faces]
            np.testing.assert_allclose(np.linalg.norm(part.normals, axis=-1), 1, atol=1e-9)
            flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
            agree = (np.einsum("fi,fki->fk", flat, part.normals) >= 0).mean()
            assert agree > 0.97, (shape.name, part.name)
            if part.texture is not None:
                assert part.texture.uv.shape == (len(part.faces), 3, 2)
                assert part.texture.texture_id in scene.textures


def test_samples_are_sound(sample):
    assert_is_sound(sample[0])


def test_samples_say_what_the_facts_say(sample):
    scene, facts = sample
    if facts is None:
        pytest.skip(f"there are no facts beside this repository about {Path(scene.source).name}")
    assert_says_what_the_facts_say(scene, facts)


def test_lights_and_cameras_of_the_base_scene():
    file = SAMPLES / "base_scene.ttt"
    if not file.is_file():
        pytest.skip(f"the sample {file.name} is not beside this repository")
    scene = read_scene(file)
    lamp = scene.by_name["DefaultLightD"]
    assert lamp.diffuse == pytest.approx((0.2,) * 3)
    assert lamp.specular == pytest.approx((0.36,) * 3, abs=1e-3)
    assert lamp.is_on
    assert not scene.by_name["DefaultLightC"].is_on
    front, wrist = scene.by_name["cam_front"], scene.by_name["cam_wrist"]
    assert np.degrees([front.angle, wrist.angle]) == pytest.approx([40, 60])
    assert (front.near, front.far) == pytest.approx((0.01, 4.5))
    place = scene.world_poses()[front.handle][:3, 3]
    np.testing.assert_allclose(place, [1.35, 0, 1.58], atol=1e-4)
    assert not scene.header.is_model


def checkout_files():
    root = os.environ.get("RLBENCH_ROOT")
    return sorted(Path(root).rglob("*.tt[mt]")) if root else []


def test_a_checkout_holds_files():
    root = os.environ.get("RLBENCH_ROOT")
    if not root:
        pytest.skip("RLBENCH_ROOT names no checkout of RLBench")
    assert checkout_files(), f"RLBENCH_ROOT={root} holds no .ttm or .ttt file"


@pytest.mark.parametrize("file", checkout_files() or [None], ids=lambda f: f.name if f else "none")
def test_files_of_a_checkout(file):
    """Differences from the facts mean that the checkout is of another version."""
    if file is None:
        pytest.skip("RLBENCH_ROOT names no checkout of RLBench")
    scene = read_scene(file)
    assert_is_sound(scene)
    facts = read_facts(file)
    if facts is not None:
        assert_says_what_the_facts_say(scene, facts)
