"""Proximity volumes: inside is inside, to 1 mm, by surface and not by origin."""

import mujoco
import numpy as np
import pytest

from pyrep_mujoco.objects.detection import geom_triangles, parse_volume, surface_in_volume
from rlbench.backend.exceptions import SceneError


def triangles(geom: str) -> np.ndarray:
    model = mujoco.MjModel.from_xml_string(
        f"<mujoco><worldbody><body><geom {geom}/></body></worldbody></mujoco>"
    )
    return geom_triangles(model, 0)


BOX = "type='box' size='.025 .025 .025'"


SPHERE, CAPSULE = "type='sphere' size='.025'", "type='capsule' size='.025 .01'"
PYRAMID = "pyramid offset=0 range=0.1 x_size=0.02 y_size=0.1 x_size_far=0.02 y_size_far=0.1"
CYLINDER = "cylinder offset=-0.04 range=0.08 radius=0.05 radius_far=0.05"
CONE = "cone offset=0 range=0.05 radius=0.005 angle=3.1415926"


@pytest.mark.parametrize(("gap", "is_seen"), [(0.0011, False), (-0.0011, True)])
@pytest.mark.parametrize(
    ("text", "reach", "geom"),
    [(PYRAMID, 0.01, geom) for geom in (BOX, SPHERE, CAPSULE)]
    + [(CYLINDER, 0.05, geom) for geom in (BOX, SPHERE, CAPSULE)]
    + [(CONE, 0.055, SPHERE)],  # a flat side would meet the half ball where the cone cuts it
)
def test_surface_meets_volume_within_a_millimetre(text, reach, geom, gap, is_seen):
    volume = parse_volume("s", text)
    shift = np.array([reach + 0.025 + gap, 0.0, 0.02 if text == PYRAMID else 0.0])
    assert surface_in_volume(triangles(geom) + shift, volume) is is_seen


def test_shell_detects_a_block_centred_on_its_apex():
    """The block's centre is on the apex: a test of origins would never fire."""
    volume = parse_volume("s", "cone offset=0 range=0.05 radius=0.005 angle=1.5708")
    assert volume(np.zeros((1, 3)))[0] > 0
    assert surface_in_volume(triangles(BOX), volume)


def test_ignores_fields_of_other_kinds():
    text = "cylinder offset=0 range=1 radius=0.1 radius_far=0.1 x_size=7e31"
    assert parse_volume("s", text)(np.array([[0.0, 0.0, 0.5]]))[0] <= 0


@pytest.mark.parametrize("text", ["ball radius=1", "ray offset=0", "ray offset=a range=1"])
def test_refuses_malformed_volumes_by_name(text):
    with pytest.raises(SceneError, match="sensor s"):
        parse_volume("s", text)
