"""Is what the rays call seen also seen in rendered depth images? And what do the rays cost?

Run by hand from the repository's root:

    python tests/benchmarks/bench_visibility.py all --demos 20 --every 5

Prints for each task and keypoint group: samples in an image, the share seen (in brackets what it
was if no object hid its own keypoints), how many seen ones lie more than 5 cm behind what the
images show, and the time of the rays of one frame, with and without the own objects.
"""

import argparse
import sys
import time
from collections import Counter
from functools import cache, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "RLBench"))

from pyrep_mujoco.vision.visibility import OUTSIDE, SEEN
from rlbench import cameras
from rlbench.backend.exceptions import DemoError
from rlbench.environment import Environment
from rlbench.observation_config import KEYPOINT_GROUPS, TRACK_CAMERAS, ObservationConfig
from rlbench.tasks import AVAILABLE

BEHIND = 0.05
"""A seen keypoint may lie this far behind the surface drawn at its pixel [m]."""
FINE = 4096
"""Size of the image [px] in which slits are looked for that are narrower than a pixel."""


class SeenOrDrawn:
    """Compares the rays with depth images, on every n-th frame of demonstrations.

    Attributes:
        compared: (K,) which keypoints are compared: waypoints and corners of boxes.
        fine: size of the image in which slits are looked for [px].
        counts: (group, what) -> number of pairs of keypoint and image.
        faults: one line for each keypoint that is called seen and lies behind something.
        seconds: what the rays of a frame took: as they are, and with the own objects left out.
    """

    def __init__(self, task, every, size):
        self._task, self._every, self._size = task, every, size
        recorder = task.recorder
        self._points, self._observer = recorder.keypoints, recorder.observer
        self._groups = np.array([name.split("/")[0] for name in recorder.keypoints.names])
        self._K, self._E, self._centres = recorder.track_K, recorder.track_E, recorder.track_centres
        self.compared = np.isin(self._groups, ("waypoints", "boxes"))
        self.fine, self._frame = FINE, 0
        self.counts, self.faults, self.seconds = Counter(), [], {"now": [], "without": []}

    def begin(self):
        """Count frames from 0: another demonstration comes."""
        self._frame = 0

    def look(self, observation):
        """Take one frame of a demonstration."""
        self._frame += 1
        if (self._frame - 1) % self._every:
            return
        xyz = observation.keypoints
        uv, depth = (x[:, 0] for x in cameras.project_views(xyz[None], self._K, self._E))
        reach = self._points.own_reach
        now = self._rays("now", xyz, reach, uv, depth)
        without = self._rays("without", xyz, np.full_like(reach, np.inf), uv, depth)
        assert np.array_equal(now, observation.keypoint_visibility)
        for group in np.unique(self._groups):
            for name, seen in (("seen", now), ("seen before", without)):
                self.counts[group, name] += int((seen == SEEN)[:, self._groups == group].sum())
            self.counts[group, "inside"] += int((now != OUTSIDE)[:, self._groups == group].sum())
        for v, camera in enumerate(TRACK_CAMERAS):
            drawn = self._depth(camera, self._size)
            fine = cache(partial(self._depth, camera, self.fine))
            for k in np.flatnonzero((now[v] == SEEN) & self.compared):
                self._compare(camera, k, uv[v, k] / 256, depth[v, k], drawn, fine)

    def _depth(self, camera, size):
        images = self._observer.images(camera, (size, size), rgb=False, depth=True, mask=False)
        return images.depth

    def _rays(self, name, xyz, reach, uv, depth):
        began = time.perf_counter()
        owners = self._points.owners
        seen, _ = self._observer.visibility(
            xyz, owners, reach, self._centres, uv, depth, (256, 256)
        )
        self.seconds[name].append(time.perf_counter() - began)
        return seen

    def _compare(self, camera, k, place, depth, drawn, fine):
        """Count a keypoint that lies behind everything around it.

        The point, at `place` in shares of the image, lies among the centres of four pixels. The
        edge of a thing beside it may cover some of them, not all, unless it is seen through a slit
        narrower than a pixel: then a larger image shows it.
        """
        group, limit = self._groups[k], depth - BEHIND
        column, row = np.floor(place * len(drawn)).astype(int)
        self.counts[group, "compared"] += 1
        self.counts[group, "own pixel nearer"] += int(drawn[row, column] < limit)
        if farthest(drawn, place) < limit and farthest(fine(), place) < limit:
            self.counts[group, "behind"] += 1
            name = self._points.names[k]
            self.faults.append(
                f"{camera} frame {self._frame - 1}: {name} is at {depth:.3f} m, "
                f"drawn is {farthest(fine(), place):.3f} m"
            )


def farthest(drawn, place):
    """Return the greatest depth [m] among the four pixels whose centres surround a place."""
    column, row = np.floor(place * len(drawn) - 0.5).astype(int)
    return drawn[max(row, 0) : row + 2, max(column, 0) : column + 2].max()


def demonstrations(task, compare, demos):
    """Make demonstrations of every variation in turn."""
    for n in range(demos):
        task.set_variation(n % task.variation_count())
        compare.begin()
        try:
            task.get_demo(0, n, 0, compare.look)
        except DemoError as error:
            print(f"  {task.get_name()}: {error.cause}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tasks", nargs="+", help="names, or all")
    parser.add_argument("--rlbench_root", help="take tasks from a checkout of RLBench")
    parser.add_argument("--demos", type=int, default=20)
    parser.add_argument("--every", type=int, default=10, help="compare every n-th frame")
    parser.add_argument("--size", type=int, default=512, help="of the depth images [px]")
    args = parser.parse_args()
    config = ObservationConfig(keypoints=KEYPOINT_GROUPS)
    env = Environment(obs_config=config, rlbench_root=args.rlbench_root)
    env.launch()
    for name in AVAILABLE if args.tasks == ["all"] else args.tasks:
        task = env.get_task(name)
        compare = SeenOrDrawn(task, args.every, args.size)
        demonstrations(task, compare, args.demos)
        times = {n: 1000 * np.array(s) for n, s in compare.seconds.items()}
        print(
            f"{name}: rays of a frame {np.median(times['now']):.3f} ms, "
            f"without own objects {np.median(times['without']):.3f} ms, {len(times['now'])} frames"
        )
        for group in dict.fromkeys(g for g, _ in compare.counts):
            c = {what: n for (g, what), n in compare.counts.items() if g == group}
            inside = max(c["inside"], 1)
            print(
                f"  {group}: {c['inside']} in an image, {100 * c['seen'] / inside:.1f} % seen "
                f"({100 * c['seen before'] / inside:.1f}); {c.get('compared', 0)} compared, "
                f"{c.get('behind', 0)} behind what is drawn, "
                f"{c.get('own pixel nearer', 0)} at their own pixel"
            )
        print("".join(f"    {line}\n" for line in compare.faults[:10]), end="", flush=True)
    env.shutdown()


if __name__ == "__main__":
    main()
