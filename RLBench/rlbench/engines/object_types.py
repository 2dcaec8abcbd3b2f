"""Kinds of scene objects, and forms of shapes that tasks make."""

from pyrep_mujoco.objects.object_types import ObjectType, PrimitiveShape

__all__ = ["ObjectType", "PrimitiveShape"]
