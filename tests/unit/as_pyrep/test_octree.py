"""Octrees count where points and surfaces are."""

import numpy as np
import pytest


@pytest.fixture
def octree(launch):
    launch()
    from pyrep.objects.octree import Octree

    return Octree.create(0.1)


def test_points_fill_cubes_in_the_world_or_in_the_octrees_frame(octree):
    octree.set_position([1, 0, 0])
    octree.insert_voxels([1.25, 0.05, 0.05, 1.26, 0.06, 0.06])
    assert octree.get_voxels() == pytest.approx([0.25, 0.05, 0.05])
    assert octree.check_point_occupancy([0.25, 0.05, 0.05], options=1)
    assert not octree.check_point_occupancy([0.25, 0.05, 0.05])
    octree.remove_voxels([0.21, 0.01, 0.01], options=1)
    assert octree.get_voxels() == []
    with pytest.raises(ValueError, match="three numbers"):
        octree.insert_voxels([1, 2])


def test_surfaces_fill_cubes_without_gaps(octree):
    from pyrep.const import PrimitiveShape
    from pyrep.objects.shape import Shape

    box = Shape.create(
        PrimitiveShape.CUBOID, [0.3, 0.3, 0.3], position=[0.2, 0.2, 0.2], static=True
    )
    octree.insert_object(box)
    centres = np.array(octree.get_voxels()).reshape(-1, 3)
    assert len(centres) == 4**3 - 2**3  # faces run through the outer cubes of 4 x 4 x 4
    np.testing.assert_allclose(np.abs(centres - 0.2).max(axis=1), 0.15)
    octree.subtract_object(box)
    assert octree.get_voxels() == []


def test_a_size_must_be_above_zero(launch):
    launch()
    from pyrep.errors import PyRepError
    from pyrep.objects.octree import Octree

    with pytest.raises(PyRepError, match="above 0"):
        Octree.create(0.0)
