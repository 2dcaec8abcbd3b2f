"""Calls by CoppeliaSim's names."""

import numpy as np
import pytest

MJCF = """
<mujoco><worldbody>
  <body name="box" pos="1 0 0"><geom type="box" size="0.1 0.1 0.1"/>
    <body name="lid" pos="0 0 0.2"><joint name="hinge" axis="0 0 1" range="-60 60"/>
      <geom type="box" size="0.1 0.1 0.01"/></body></body>
</worldbody></mujoco>
"""


@pytest.fixture
def sim(tmp_path, launch):
    file = tmp_path / "small.xml"
    file.write_text(MJCF, encoding="utf-8")
    launch(file)
    from pyrep.backend import sim

    return sim


def test_objects_and_joints_by_handle(sim):
    box, hinge = sim.simGetObjectHandle("box"), sim.simGetObjectHandle("hinge")
    assert sim.simGetObjectName(box) == "box"
    assert sim.simGetObjectType(hinge) == sim.sim_object_joint_type
    assert sim.simGetObjectParent(hinge) == box
    sim.simSetObjectPosition(box, -1, [0, 0, 2])
    assert sim.simGetObjectPosition(hinge, box) == pytest.approx([0, 0, 0.2])
    sim.simSetObjectOrientation(box, -1, [0, 0, 0.5])
    assert sim.simGetObjectOrientation(box, -1) == pytest.approx([0, 0, 0.5])
    assert len(sim.simGetObjectsInTree(sim.sim_handle_scene, sim.sim_handle_all, 0)) == 3
    sim.simSetJointPosition(hinge, 0.3)
    assert sim.simGetJointPosition(hinge) == pytest.approx(0.3)
    T = np.reshape(sim.simGetObjectMatrix(box, -1), (3, 4))
    sim.simSetObjectMatrix(box, -1, list(T.ravel()))
    np.testing.assert_allclose(sim.simGetObjectMatrix(box, -1), T.ravel(), atol=1e-9)


def test_what_has_no_counterpart_says_so_in_one_line(sim):
    from pyrep.backend.sim import simRMLPos
    from pyrep.errors import PyRepError

    with pytest.raises(PyRepError, match="simRMLPos.*no counterpart"):
        simRMLPos(1, 2, key=3)
    with pytest.raises(AttributeError, match="sim_never_heard_of"):
        _ = sim.sim_never_heard_of


def test_forks_that_need_low_level_names_import_them_and_are_told_what_is_missing():
    from pyrep.backend import sim, simConst
    from pyrep.backend._sim_cffi import ffi, lib
    from pyrep.errors import PyRepError

    assert (sim.lib, sim.ffi) == (lib, ffi)
    assert sim.sim_shapeintparam_compound == simConst.sim_shapeintparam_compound == 3016
    assert sim.sim_objectspecialproperty_collidable == 1
    sim._check_return(0)
    with pytest.raises(RuntimeError, match="returned -1"):
        sim._check_return(-1)
    for link, name in ((lib, "simGetShapeMesh"), (ffi, "new")):
        assert not hasattr(link, "__wrapped__")
        with pytest.raises(PyRepError, match=rf"\.{name}: .*MuJoCo"):
            getattr(link, name)("float **", 1)
