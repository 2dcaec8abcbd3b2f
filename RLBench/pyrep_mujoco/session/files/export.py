"""Writes a scene, or a model of it, as MJCF."""

import warnings
from dataclasses import replace
from pathlib import Path

from pyrep_mujoco.errors import CallError
from pyrep_mujoco.session.session import Session
from pyrep_mujoco.ttm.mjcf.writer import Writer
from pyrep_mujoco.ttm.reading.model import Header, Scene
from pyrep_mujoco.whole_files import write_whole

_HEADER = Header(23, 18, False, 0, 0, 0, is_model=False)


def export(session: Session, path: Path | str, base: int | None = None) -> None:
    """Write the scene, or the tree of a base, as MJCF into a file; a warning says so.

    Meshes and images go into a folder beside the file, `<its name>_files`.

    Raises:
        CallError: the file cannot be written, or MJCF cannot hold what is in the scene.
    """
    path = Path(path)
    document = session.document
    handles = document.roots() if base is None else document.tree(base)
    objects = []
    for handle in handles:
        obj = document.get(handle)
        if handle == base:
            obj = replace(obj, parent=None, pose=document.world(handle))
        objects.append(obj)
    scene = Scene(document.label, _HEADER, objects, dict(document.textures))
    folder = f"{path.name}_files"
    try:
        (path.parent / folder).mkdir(parents=True, exist_ok=True)
        writer = Writer(scene, path.stem, bonds_break=False)
        xml = writer.write().replace('file="files/', f'file="{folder}/')
        for name, content in writer.files.items():
            write_whole(path.parent / folder / Path(name).name, content)
        write_whole(path, xml.encode())
    except (OSError, ValueError) as error:
        raise CallError(f"{path}: the scene cannot be written: {error}") from error
    warnings.warn(
        f"{path} holds MJCF, MuJoCo's format, whatever its name ends with; CoppeliaSim cannot read "
        "it",
        stacklevel=3,
    )
