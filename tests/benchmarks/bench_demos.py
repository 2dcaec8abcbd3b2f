"""First-attempt success of demonstrations over many seeds, with causes: one table.

Run by hand: python tests/benchmarks/bench_demos.py [--seeds 100]
"""

import argparse
import collections
import time

from rlbench.backend.exceptions import DemoError
from rlbench.environment import Environment
from rlbench.tasks import AVAILABLE, get_task_class, task_id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100)
    args = parser.parse_args()
    print("| id | task | success | mean placements | frames per demo | frames/s | failures |")
    print("|---:|---|---:|---:|---:|---:|---|")
    for name in AVAILABLE:
        env = Environment()
        env.launch()
        task = env.get_task(get_task_class(name))
        causes: collections.Counter[str] = collections.Counter()
        frames = placements = 0
        start = time.perf_counter()
        for seed in range(args.seeds):
            task.set_variation(seed % task.variation_count())
            try:
                demo = task.get_demo(seed, example=0)
            except DemoError as error:
                causes[error.cause] += 1
                continue
            frames += len(demo)
            placements += demo.placements
        seconds = time.perf_counter() - start
        done = args.seeds - sum(causes.values())
        print(
            f"| {task_id(name)} | {name} | {done}/{args.seeds} | {placements / max(done, 1):.2f} "
            f"| {frames / max(done, 1):.1f} | {frames / seconds:.0f} | {dict(causes) or '-'} |"
        )
        env.shutdown()


if __name__ == "__main__":
    main()
