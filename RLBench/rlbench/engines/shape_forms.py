"""Forms of shapes that tasks make while they run, and meshes read from files."""

from pyrep_mujoco.objects.mesh_import import read_obj
from pyrep_mujoco.objects.shape_forms import Form, mesh_form, primitive_form

__all__ = ["Form", "mesh_form", "primitive_form", "read_obj"]
