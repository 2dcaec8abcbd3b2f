"""Convert a V-REP / CoppeliaSim scene or model to MJCF.

python -m pyrep_mujoco.ttm.to_mjcf scene.ttm -o folder/

The folder then holds `scene.xml`, which MuJoCo's own viewer opens, and `files/` with meshes and
textures. Things that stand more than 1 mm deep in others are moved out, and told, unless
`--as_saved`.
"""

from pyrep_mujoco import process_start

if __name__ == "__main__":
    process_start.prepare("to_mjcf", 330, simulates=True)

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from pyrep_mujoco.constants import SCENE_FILE
from pyrep_mujoco.errors import SceneError, SimulatorError
from pyrep_mujoco.transforms import Floats
from pyrep_mujoco.ttm.mjcf.contacts import Overlap, overlaps
from pyrep_mujoco.ttm.mjcf.overlaps import part
from pyrep_mujoco.ttm.mjcf.writer import write_scene
from pyrep_mujoco.ttm.reading.reader import read_scene
from pyrep_mujoco.whole_files import folder_in_the_making

WORST = 1e-3
"""Free bodies that overlap by more [m] as saved are worth a line."""


@dataclass(frozen=True)
class Conversion:
    """What a file becomes.

    Attributes:
        files: contents by path relative to the folder, the scene's XML first.
        overlaps: of free bodies that were left, deepest first.
        missing: see `model.Scene`.
        moved: free bodies that were parted from others -> (3,) by how much [m].
    """

    files: dict[str, bytes]
    overlaps: list[Overlap]
    missing: list[str]
    moved: dict[str, Floats]


def conversion(
    source: Path, name: str = SCENE_FILE, bonds_break: bool = True, separate_overlaps: bool = False
) -> Conversion:
    """Convert `source` in memory.

    Args:
        source: `.ttm` or `.ttt` file.
        name: of the XML.
        bonds_break: what hangs on a force sensor may be taken off it; not so in a robot.
        separate_overlaps: what stands more than 1 mm deep in something is moved out of it.
            Episodes do this for themselves, with the table and after everything was placed: their
            scenes are converted as saved.

    Raises:
        TtmError: the file cannot be read.
        SceneError: MuJoCo refuses what it holds.
    """
    scene = read_scene(source)
    try:
        xml, files, left = write_scene(scene, source.stem, bonds_break)
        moved: dict[str, Floats] = {}
        if separate_overlaps:
            xml, moved = part(xml, files)
            left = sorted(overlaps(xml, files)[0], key=lambda o: -o.depth)
    except (ValueError, mujoco.FatalError) as error:
        reason = " ".join(str(error).split())
        raise SceneError(f"{source}: cannot be converted: {reason}") from error
    return Conversion({name: xml.encode("utf-8"), **files}, left, scene.missing, moved)


def convert(
    source: Path,
    folder: Path,
    bonds_break: bool = True,
    *,
    replace: bool = False,
    separate_overlaps: bool = False,
) -> Conversion:
    """Convert `source` into `folder`, which appears whole or not at all.

    Args:
        source: `.ttm` or `.ttt` file.
        folder: is made.
        bonds_break: see `conversion`.
        replace: an existing folder is replaced.
        separate_overlaps: see `conversion`.

    Raises:
        TtmError: the file cannot be read.
        SceneError: MuJoCo refuses what it holds.
        OSError: the folder holds something already, or cannot be written.
    """
    made = conversion(source, bonds_break=bonds_break, separate_overlaps=separate_overlaps)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder_in_the_making(folder) as beside:
        new = beside / "made"
        for path, content in made.files.items():
            (new / path).parent.mkdir(parents=True, exist_ok=True)
            (new / path).write_bytes(content)
        if replace and folder.exists():
            folder.rename(beside / "old")
        new.rename(folder)
    return made


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=Path, help=".ttm or .ttt file")
    parser.add_argument("-o", "--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--force", action="store_true", help="replace the folder if it exists")
    parser.add_argument(
        "--as_saved",
        action="store_true",
        help="leave loose things where the file has them, also more than 1 mm deep in others",
    )
    args = parser.parse_args(arguments)
    is_empty = args.out.is_dir() and not any(args.out.iterdir())
    if args.out.exists() and not is_empty and not args.force:
        print(f"{args.out} exists already; give --force to replace it", file=sys.stderr)
        return 2
    try:
        made = convert(
            args.source, args.out, replace=args.force, separate_overlaps=not args.as_saved
        )
    except (SimulatorError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    for line in made.missing:
        print(f"{args.source}: {line}", file=sys.stderr)
    lines = [
        f"{name} is moved by {np.linalg.norm(way) * 1e3:.1f} mm, out of what it stood in"
        for name, way in made.moved.items()
    ]
    lines += [
        f"{o.first} and {o.second} overlap by {o.depth * 1e3:.1f} mm as saved"
        for o in made.overlaps
        if o.depth > WORST
    ]
    print("\n".join([*lines, str(args.out / SCENE_FILE)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
