"""Show what a V-REP / CoppeliaSim scene or model holds.

python -m pyrep_mujoco.ttm.describe scene.ttm
python -m pyrep_mujoco.ttm.describe scene.ttm --json
"""

from pyrep_mujoco import process_start

if __name__ == "__main__":
    process_start.prepare("describe", 120)

import argparse
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path as FilePath

import numpy as np

from pyrep_mujoco.errors import SimulatorError
from pyrep_mujoco.transforms import matrix_to_quat_wxyz
from pyrep_mujoco.ttm.reading.model import (
    Camera,
    Dummy,
    ForceSensor,
    Joint,
    Light,
    OtherObject,
    Path,
    ProximitySensor,
    Scene,
    SceneObject,
    Shape,
    VisionSensor,
)
from pyrep_mujoco.ttm.reading.reader import application_name, read_scene

_TYPES: dict[type[SceneObject], str] = {
    Shape: "shape",
    Joint: "joint",
    Dummy: "dummy",
    ProximitySensor: "proximity_sensor",
    VisionSensor: "vision_sensor",
    ForceSensor: "force_sensor",
    Camera: "camera",
    Light: "light",
    Path: "path",
}


def type_name(obj: SceneObject) -> str:
    """Return what kind of object it is, in words; the tag of a kind that is only placed."""
    return obj.tag if isinstance(obj, OtherObject) else _TYPES[type(obj)]


def describe(scene: Scene) -> list[dict[str, object]]:
    """Return one row per object, in file order, of plain values.

    Each row has handle, parent, type, name, position [m] and quaternion_wxyz in the world, details
    of the kind (units as in `pyrep_mujoco.ttm.reading.model`), extension, layers and special.
    """
    world = scene.world_poses()
    rows: list[dict[str, object]] = []
    for obj in scene.objects:
        pose = world[obj.handle]
        details = _DETAILS[type(obj)](obj) if type(obj) in _DETAILS else {}
        rows.append(
            {
                "handle": obj.handle,
                "parent": obj.parent,
                "type": type_name(obj),
                "name": obj.name,
                "position": _rounded(pose[:3, 3]),
                "quaternion_wxyz": _rounded(matrix_to_quat_wxyz(pose[:3, :3])),
                "details": details,
                "extension": obj.extension,
                "layers": obj.layers,
                "special": obj.special,
            }
        )
    return rows


def _rounded(values: Iterable[float]) -> list[float]:
    return [round(float(v), 6) + 0.0 for v in values]


def _shape(shape: Shape) -> dict[str, object]:
    box = shape.bounding_box
    forms = [p.primitive.kind if p.primitive else "mesh" for p in shape.parts]
    return {
        "size": _rounded(box[1::2] - box[::2]),
        "parts": forms,
        "mass": round(shape.mass, 6),
        "dynamic": shape.is_dynamic,
        "respondable": shape.is_respondable,
        "color": _rounded(shape.parts[0].color.rgb),
        "textured": any(p.texture is not None for p in shape.parts),
        "triangles": sum(len(p.faces) for p in shape.parts),
    }


def _joint(joint: Joint) -> dict[str, object]:
    return {
        "kind": joint.kind,
        "value": round(joint.value, 6),
        "range": None if joint.is_cyclic else _rounded((joint.lower, joint.upper)),
        "mode": joint.mode,
        "motor": joint.motor_on,
        "force": round(joint.max_force, 6),
    }


def _sensor(sensor: ProximitySensor) -> dict[str, object]:
    return {"kind": sensor.kind, **{k: round(v, 6) for k, v in sensor.volume.items()}}


def _vision(sensor: VisionSensor) -> dict[str, object]:
    return {
        "resolution": list(sensor.resolution),
        "angle": round(sensor.angle, 6),
        "near": round(sensor.near, 6),
        "far": round(sensor.far, 6),
    }


def _path(path: Path) -> dict[str, object]:
    return {"points": len(path.points), "closed": path.is_closed}


def _light(light: Light) -> dict[str, object]:
    return {"kind": light.kind, "on": light.is_on, "color": _rounded(light.diffuse)}


_DETAILS: dict[type[SceneObject], Callable[..., dict[str, object]]] = {
    Shape: _shape,
    Joint: _joint,
    ProximitySensor: _sensor,
    VisionSensor: _vision,
    Path: _path,
    Light: _light,
}
_COLUMNS = ("handle", "parent", "type", "name", "world position", "quaternion wxyz", "details")


def table(scene: Scene) -> str:
    """Return the objects as an aligned text table."""
    rows = [_COLUMNS]
    for row in describe(scene):
        parent = row["parent"]
        rows.append(
            (
                str(row["handle"]),
                "-" if parent is None else str(parent),
                str(row["type"]),
                str(row["name"]),
                _numbers(row["position"]),
                _numbers(row["quaternion_wxyz"]),
                _sentence(row),
            )
        )
    widths = [max(len(row[i]) for row in rows) for i in range(len(_COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _numbers(values: object) -> str:
    return " ".join(f"{v:.4g}" for v in np.round(np.asarray(values, float), 4) + 0.0)


def _sentence(row: dict[str, object]) -> str:
    """Return a row's details in words: facts that hold, and values with their names."""
    words = [f"`{row['extension']}`"] if row["extension"] else []
    details = row["details"]
    assert isinstance(details, dict)
    for key, value in details.items():
        if isinstance(value, bool):
            words += [key] if value else []
        elif key == "parts":
            words.append(value[0] if len(value) == 1 else f"compound of {len(value)}")
        elif key == "kind":
            words.append(str(value))
        elif value is None:
            words.append(f"no {key}")
        elif isinstance(value, list):
            words.append(f"{key} {_numbers(value)}")
        else:
            words.append(
                f"{key} {_numbers([value])}" if isinstance(value, float) else f"{key} {value}"
            )
    return ", ".join([*words, f"layers {row['layers']}", f"special {row['special']}"])


def summary(scene: Scene) -> str:
    """Return one line about the file, and others about what was passed over or is missing."""
    header = scene.header
    kind = "model" if header.is_model else "scene"
    lines = [
        f"{scene.source}: {kind}, serialisation {header.version}, CoppeliaSim "
        f"{application_name(header.application)}, {len(scene.objects)} objects, "
        f"{len(scene.textures)} textures, {len(scene.scripts)} scripts"
    ]
    if scene.skipped:
        skipped = ", ".join(f"{tag} x{count}" for tag, count in sorted(scene.skipped.items()))
        lines.append(f"passed over: {skipped}")
    lines += scene.missing
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("source", type=FilePath, help=".ttm or .ttt file")
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    args = parser.parse_args(arguments)
    try:
        scene = read_scene(args.source)
    except (SimulatorError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(_document(scene), indent=1) if args.json else _both(scene))
    return 0


def _both(scene: Scene) -> str:
    return f"{summary(scene)}\n{table(scene)}"


def _document(scene: Scene) -> dict[str, object]:
    return {
        "source": scene.source,
        "version": scene.header.version,
        "application": application_name(scene.header.application),
        "is_model": scene.header.is_model,
        "objects": describe(scene),
        "textures": [
            {"id": t.id, "name": t.name, "width": t.pixels.shape[1], "height": t.pixels.shape[0]}
            for t in scene.textures.values()
        ],
        "skipped": scene.skipped,
        "missing": scene.missing,
        "scripts": scene.scripts,
    }


if __name__ == "__main__":
    sys.exit(main())
