"""Takes the objects of files, and copies of objects, into a document."""

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace

from pyrep_mujoco.session.document import Document
from pyrep_mujoco.ttm.reading.model import (
    Dummy,
    Joint,
    ProximitySensor,
    Scene,
    SceneObject,
    Shape,
)
from pyrep_mujoco.ttm.reading.parts import Part


def take_in(document: Document, scene: Scene, apart: Iterable[tuple[int, int]] = ()) -> list[int]:
    """Take in all objects of a file, in its order; return the handles of its top ones.

    Names that are taken get a suffix, the same one for the whole file.

    Args:
        document: that takes them in.
        scene: contents of the file.
        apart: pairs of its handles that shall not collide.
    """
    images = _take_textures(document, scene)
    handles = _adopt(document, [_worn(obj, images) for obj in scene.objects])
    document.apart |= {(handles[a], handles[b]) for a, b in apart}
    for found in scene.collections:
        rows = tuple((None if h is None else handles.get(h, -1), adds) for h, adds in found.rows)
        document.collect(replace(found, rows=rows))
    return [obj.handle for obj in scene.objects if obj.parent is None]


def _take_textures(document: Document, scene: Scene) -> dict[int, int]:
    """Take in a file's images; return what their ids became."""
    images: dict[int, int] = {}
    for texture in scene.textures.values():
        images[texture.id] = document.add_texture(texture.name, texture.pixels)
    return images


def duplicate(document: Document, handles: Sequence[int]) -> dict[int, int]:
    """Copy objects; return the copy's handle of each.

    A copy hangs on the copy of its parent, or where the parent is not copied on nothing; it
    stands where its original does.
    """
    copies = []
    for handle in handles:
        obj = copy.deepcopy(document.get(handle), _shared(document.get(handle)))
        if obj.parent not in handles:
            obj.pose, obj.parent = document.world(handle), None
        copies.append(obj)
    made = _adopt(document, copies)
    document.apart |= {(made[a], made[b]) for a, b in document.apart if a in made and b in made}
    return made


def _adopt(document: Document, objects: Sequence[SceneObject]) -> dict[int, int]:
    """Enter objects that know each other by old handles; return the new ones."""
    stems = [obj.name.partition("#")[0] for obj in objects]
    names = [obj.name for obj in objects]
    if any(document.has(name) for name in names):
        if len(set(stems)) == len(stems):
            suffix = document.free_suffix(stems)
            names = [stem + suffix for stem in stems]
        else:  # #0 and #1 of one name come together: each for itself
            names = []
    handles = {}
    for obj in objects:
        handles[obj.handle] = document.new_handle()
    for i, obj in enumerate(objects):
        obj.name = names[i] if names else document.free_name(stems[i])
        obj.handle = handles[obj.handle]
        _renumber(obj, handles)
        document.enter(obj)
    return handles


def _renumber(obj: SceneObject, handles: dict[int, int]) -> None:
    """Let an object refer to others by their new handles."""
    obj.parent = None if obj.parent is None else handles[obj.parent]
    if isinstance(obj, Dummy):
        obj.linked = None if obj.linked is None else handles.get(obj.linked)
    elif isinstance(obj, ProximitySensor):
        obj.detects = None if obj.detects is None else handles.get(obj.detects)
    elif isinstance(obj, Joint) and obj.master is not None:
        master, factor, offset = obj.master
        obj.master = None if master not in handles else (handles[master], factor, offset)


def _worn(obj: SceneObject, images: dict[int, int]) -> SceneObject:
    """Let a shape's parts wear images by their new ids."""
    if isinstance(obj, Shape):
        obj.parts = [_with_image(part, images) for part in obj.parts]
    return obj


def _with_image(part: Part, images: dict[int, int]) -> Part:
    if part.texture is None or part.texture.texture_id not in images:
        return part
    use = replace(part.texture, texture_id=images[part.texture.texture_id])
    return replace(part, texture=use)


def _shared(obj: SceneObject) -> dict[int, object]:
    """Return what a copy shares with its original: parts are never changed."""
    return {id(part): part for part in obj.parts} if isinstance(obj, Shape) else {}
