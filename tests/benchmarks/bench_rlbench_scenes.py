"""Every scene of a checkout of RLBench: converted, compiled, settled, and drawn on one sheet.

Run by hand from the repository's root:

    python tests/benchmarks/bench_rlbench_scenes.py \\
        --rlbench_root ~/RLBench --out scenes

Prints a line per scene: seconds of conversion, geoms, what stands in something as saved, what still
does at the start of an episode, and what then moves by more than 5 mm within two seconds, and why;
writes `scenes.json` and, with --sheet, pictures and `sheet_<n>.png`.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import cv2
import mujoco
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "RLBench"))

from pyrep_mujoco.robots.arm import Arm
from pyrep_mujoco.robots.gripper import Gripper
from pyrep_mujoco.ttm.to_mjcf import SCENE_FILE, convert
from pyrep_mujoco.vision.rendering import Renderer
from rlbench.backend.exceptions import RLBenchError
from rlbench.engines.mujoco import MujocoEngine
from tests.benchmarks.scene_movements import (
    UNEXPLAINED,
    StartedScene,
    overlaps,
)

SETTLE_STEPS = 40
COLUMNS = 6


def check(source, folder, size):
    row = {"scene": source.stem}
    began = time.perf_counter()
    convert(source, folder, replace=True)
    row["seconds"] = round(time.perf_counter() - began, 2)
    began = time.perf_counter()
    engine = MujocoEngine(folder / SCENE_FILE)
    row["geoms"] = int(engine.model.ngeom)
    row["compile"] = round(time.perf_counter() - began, 2)
    gripper, arm = Gripper(engine), Arm(engine)
    gripper.reset()
    arm.home()
    image = picture(engine, size) if size else None
    row["saved_overlaps"] = overlaps(engine)
    engine.separate_overlaps()
    row["overlaps"] = overlaps(engine)
    scene = StartedScene(engine)
    began = time.perf_counter()
    for _ in range(SETTLE_STEPS):
        engine.step()
    row["slowdown"] = round((time.perf_counter() - began) / (SETTLE_STEPS * 0.05), 2)
    row["warnings"] = int(sum(w.number for w in engine.data.warning))
    row["moved"] = scene.movements()
    return row, image


def is_sound(row):
    moved = row.get("moved", {}).values()
    return not (row.get("error") or row["overlaps"]) and all(m["why"] != UNEXPLAINED for m in moved)


def summary(rows):
    """Return lines that tell how many scenes rest, and why others do not."""
    sound = [r for r in rows if is_sound(r)]
    standing = [r for r in rows if r.get("saved_overlaps")]
    deepest = max((d for r in standing for d in r["saved_overlaps"].values()), default=0.0)
    out = [
        f"{len(sound)} of {len(rows)} scenes are sound, {sum(not r['moved'] for r in sound)} of "
        "them rest within 5 mm",
        f"{len(standing)} are saved with something more than 1 mm, at most {deepest:.1f} mm, deep "
        "in something else",
    ]
    for row in rows:
        for name, moved in row.get("moved", {}).items():
            out.append(f"{row['scene']}: {name} moves by {moved['mm']} mm: {moved['why']}")
    return out


def picture(engine, size):
    mujoco.mj_forward(engine.model, engine.data)
    with Renderer(engine.model, size, size, multisample=4) as renderer:
        images = [
            renderer.render(engine.data, camera, depth=False, mask=False).rgb
            for camera in ("front", "left_shoulder")
        ]
    return np.concatenate(images, axis=1)


def sheet(pictures, path):
    tiles = []
    for name, image in pictures:
        tile = np.ascontiguousarray(image[..., ::-1])
        cv2.putText(tile, name[:34], (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 255), 1)
        tiles.append(tile)
    while len(tiles) % (COLUMNS // 2):
        tiles.append(np.zeros_like(tiles[0]))
    rows = [
        np.concatenate(tiles[i : i + COLUMNS // 2], axis=1)
        for i in range(0, len(tiles), COLUMNS // 2)
    ]
    cv2.imwrite(str(path), np.concatenate(rows, axis=0))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rlbench_root", type=Path, default=os.environ.get("RLBENCH_ROOT"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=int, default=0, help="size of a picture [px], 0 for none")
    parser.add_argument("scenes", nargs="*", help="names (default: all of the checkout)")
    args = parser.parse_args()
    files = sorted((Path(args.rlbench_root) / "rlbench" / "task_ttms").glob("*.ttm"))
    args.out.mkdir(parents=True, exist_ok=True)
    rows, pictures = [], []
    for source in files:
        if args.scenes and source.stem not in args.scenes:
            continue
        try:
            row, image = check(source, args.out / source.stem, args.sheet)
        except RLBenchError as error:
            row, image = {"scene": source.stem, "error": str(error)}, None
        rows.append(row)
        print(json.dumps(row), flush=True)
        if image is not None:
            pictures.append((source.stem, image))
    (args.out / "scenes.json").write_text(json.dumps(rows, indent=1))
    per_sheet = 4 * COLUMNS // 2
    for i in range(0, len(pictures), per_sheet):
        sheet(pictures[i : i + per_sheet], args.out / f"sheet_{i // per_sheet}.png")
    print("\n".join(summary(rows)))


if __name__ == "__main__":
    main()
