"""Read V-REP / CoppeliaSim models (.ttm) and scenes (.ttt), serialisation 18 to 23."""

import struct
from pathlib import Path

from pyrep_mujoco.errors import TtmError
from pyrep_mujoco.ttm.reading import huffman
from pyrep_mujoco.ttm.reading.buffers import KNOWN as BUFFER_TAGS
from pyrep_mujoco.ttm.reading.buffers import MeshBuffers
from pyrep_mujoco.ttm.reading.chunks import Chunk, Fields, Origin
from pyrep_mujoco.ttm.reading.collections import read_collection
from pyrep_mujoco.ttm.reading.inverse_kinematics import read_ik_group
from pyrep_mujoco.ttm.reading.model import (
    Dummy,
    Header,
    IkConstraints,
    Joint,
    Scene,
    SceneObject,
)
from pyrep_mujoco.ttm.reading.object_chunks import OBJECT_TAGS, read_object
from pyrep_mujoco.ttm.reading.shapes import Library
from pyrep_mujoco.ttm.reading.surfaces import read_material, read_texture

HEADER_SIZE = 1021
OLDEST, NEWEST = 18, 23
MAX_PAYLOAD = 1 << 30
"""Larger unpacked files are refused; RLBench's largest has 8 MB."""
MAX_FILE = 1 << 30
MAX_OBJECTS = 1000
"""Of one file; RLBench's largest has 123."""
MAX_DEPTH = 256
"""Objects below each other; RLBench's deepest are 36. Bodies nest as deep in the XML, which MuJoCo
reads to a depth of 500, and Python walks in no more than two calls a level."""
_HEAD = "<4s2iBiiHibb"
_SCRIPT_TAGS = frozenset({"Si2", "Ste", "Coc", "Dbl", "Seo", "Ttd", "Va2", "Va3"})
# A picture of the scene, the model's box, the editor's views and settings.
_QUIET = frozenset({"MTC", "BBC", "ENV", "SET", "VEW", "CDS", "CDA", "GHO"})
_READ = frozenset({"DMA", "TEX", "VIN", "LST", "GRP", "IKO"})
# Old buttons, old calculations, settings of the simulation.
_UNREAD = frozenset({"BBK", "COL", "DST", "PPL", "DYN", "SIM"})
MAX_LINES = 20
"""About what is missing in one file."""


def read_header(path: Path | str) -> Header:
    """Read the start of a file.

    Raises:
        TtmError: this is no V-REP / CoppeliaSim file, or one of an unknown version.
        OSError: the file cannot be opened.
    """
    with Path(path).open("rb") as file:
        return _header(file.read(HEADER_SIZE), str(path))


def read_scene(path: Path | str) -> Scene:
    """Read a whole file.

    Args:
        path: `.ttm` or `.ttt` file.

    Raises:
        TtmError: the file is not what it should be.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    size = path.stat().st_size
    if size > MAX_FILE:
        raise TtmError(f"{path}: has {size} bytes; up to {MAX_FILE} are read")
    return decode(path.read_bytes(), str(path))


def decode(content: bytes, source: str = "scene") -> Scene:
    """Read a whole file that is in memory.

    Args:
        content: of the file.
        source: its name, for messages.

    Raises:
        TtmError: the content is not what it should be.
    """
    header = _header(content, source)
    payload = unpack(content, header, source)
    origin = Origin(source)
    root = Chunk("", memoryview(payload), 0, origin)
    top, stop = root.sequence(0, OBJECT_TAGS | _QUIET | _READ, "EOF", _UNREAD)
    root.check_end(stop)
    library = _library(top)
    origin.settle()
    found = top.all(*OBJECT_TAGS)
    if len(found) > MAX_OBJECTS:
        raise TtmError(f"{source}: holds {len(found)} objects; up to {MAX_OBJECTS} are read")
    objects = [read_object(chunk, library) for chunk in found]
    _check_tree(objects, source)
    handles = {obj.handle for obj in objects}
    missing = _missing(origin)
    scripted = {c.fields(_SCRIPT_TAGS).need("Si2").unpack("2i")[1] for c in top.all("LST")}
    goals = {tip: what for c in top.all("IKO") for tip, what in read_ik_group(c).items()}
    _tell(objects, scripted, goals)
    return Scene(
        source=source,
        header=header,
        objects=objects,
        textures=library.textures,
        skipped=dict(origin.skipped),
        missing=missing,
        scripts=sorted(scripted & handles),  # a scene's main script belongs to no object
        collections=[read_collection(chunk) for chunk in top.all("GRP")],
    )


def _tell(objects: list[SceneObject], scripted: set[int], goals: dict[int, IkConstraints]) -> None:
    """Tell objects what is said of them elsewhere in the file.

    Args:
        objects: of the file.
        scripted: handles of those that carry a script.
        goals: what tips must reach, by handle.
    """
    for obj in objects:
        if isinstance(obj, Dummy):
            obj.reaches = goals.get(obj.handle, obj.reaches)
        elif isinstance(obj, Joint) and obj.handle in scripted and obj.position_loop:
            obj.motor_on = False  # where it goes is up to its script, which is not run


def _header(content: bytes, source: str) -> Header:
    if content[:4] != b"VREP":
        raise TtmError(
            f"{source}: starts with {content[:4]!r}, not with VREP: this is no V-REP / CoppeliaSim "
            "file"
        )
    if len(content) < HEADER_SIZE:
        raise TtmError(f"{source}: is cut off in its header, after {len(content)} bytes")
    values = struct.unpack_from(_HEAD, content)
    _, version, oldest, packing, size, _, application, _, revision, kind = values
    if version > NEWEST:
        raise TtmError(
            f"{source}: was saved by CoppeliaSim {application_name(application)}, which is newer"
            f" than this reader: serialisation {version}, {OLDEST} to {NEWEST} are read; save it"
            " with CoppeliaSim 4.1"
        )
    if version < OLDEST:
        raise TtmError(
            f"{source}: serialisation {version} is too old; {OLDEST} to {NEWEST} are read; open "
            "and save it with CoppeliaSim 4.1"
        )
    if packing not in (0, 1):
        raise TtmError(f"{source}: packing {packing} is unknown; 0 and 1 are read")
    # Older files leave the kind 0.
    is_model = kind == 2 or (kind != 1 and not source.lower().endswith(".ttt"))
    return Header(version, oldest, packing == 1, size, application, revision, is_model)


def application_name(number: int) -> str:
    """Return a version such as 4.1.0."""
    return f"{number // 10000}.{number // 100 % 100}.{number % 100}"


def unpack(content: bytes, header: Header, source: str) -> bytes:
    """Return the chunks behind the header, uncompressed.

    Raises:
        TtmError: they are not as many bytes as the header says.
    """
    size = header.payload_size
    if not 3 <= size <= MAX_PAYLOAD:
        raise TtmError(f"{source}: claims {size} bytes; 3 to {MAX_PAYLOAD} are read")
    if header.is_compressed:
        return huffman.decode(content[HEADER_SIZE:], size, source)
    left = len(content) - HEADER_SIZE
    if left < size:
        raise TtmError(f"{source}: is cut off: has {left} of {size} bytes behind its header")
    return content[HEADER_SIZE : HEADER_SIZE + size]


def _missing(origin: Origin) -> list[str]:
    """Return a line for each thing that an object misses, `MAX_LINES` at most."""
    lines = [
        (f"{name!r}: " if name else "") + what + (f" ({count} times)" if count > 1 else "")
        for (name, what), count in sorted(origin.missing.items())
    ]
    more = len(lines) - MAX_LINES
    return lines[:MAX_LINES] + ([f"and {more} more of the kind"] if more > 0 else [])


def _library(top: Fields) -> Library:
    """Read what shapes refer to."""
    textures = [read_texture(chunk) for chunk in top.all("TEX")]
    return Library(
        MeshBuffers([chunk.fields(BUFFER_TAGS) for chunk in top.all("VIN")]),
        {texture.id: texture for texture in textures},
        dict(read_material(chunk) for chunk in top.all("DMA")),
    )


def _check_tree(objects: list[SceneObject], source: str) -> None:
    """Raise TtmError unless handles and names are unique and parents form trees."""
    by_handle: dict[int, SceneObject] = {}
    names: set[str] = set()
    for obj in objects:
        if obj.handle in by_handle:
            other = by_handle[obj.handle].name
            raise TtmError(
                f"{source}: {obj.name!r} and {other!r} have the same handle {obj.handle}"
            )
        if obj.name in names:
            raise TtmError(f"{source}: two objects are named {obj.name!r}")
        by_handle[obj.handle] = obj
        names.add(obj.name)
    depths: dict[int, int] = {}
    for start in objects:
        chain: dict[int, None] = {}
        current: SceneObject | None = start
        while current is not None and current.handle not in depths:
            if current.handle in chain:
                raise TtmError(f"{source}: {current.name!r} is below itself")
            chain[current.handle] = None
            if current.parent is not None and current.parent not in by_handle:
                raise TtmError(
                    f"{source}: the parent of {current.name!r} has handle {current.parent}, which "
                    "no object has"
                )
            current = None if current.parent is None else by_handle[current.parent]
        above = 0 if current is None else depths[current.handle]
        if above + len(chain) > MAX_DEPTH:
            raise TtmError(
                f"{source}: {start.name!r} is below {above + len(chain) - 1} others; trees of up to"
                f" {MAX_DEPTH} levels are read"
            )
        depths.update({handle: above + i for i, handle in enumerate(reversed(chain), 1)})
