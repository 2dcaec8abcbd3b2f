"""Random actions on any task, several environments side by side; prints steps per second."""

import argparse
import time
from collections.abc import Sequence

import gymnasium

import rlbench.gym  # noqa: F401 - registers the environments


def main(argv: Sequence[str] | None = None) -> float:
    """Step the environments; return how many steps a second all of them made together."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--env", default="rlbench/reach_target-vision-v0")
    parser.add_argument("--num_envs", type=int, default=2)
    parser.add_argument("--steps", type=int, default=200)
    args = parser.parse_args(argv)
    # OpenGL does not survive a fork: new processes must be spawned.
    envs = gymnasium.make_vec(
        args.env,
        num_envs=args.num_envs,
        vectorization_mode="async",
        vector_kwargs={"context": "spawn"},
    )
    envs.action_space.seed(0)
    envs.reset(seed=0)
    start = time.perf_counter()
    for _ in range(args.steps):
        envs.step(envs.action_space.sample())
    rate: float = args.num_envs * args.steps / (time.perf_counter() - start)
    print(f"{args.env}: {args.num_envs} environments, {rate:.0f} steps/s together")
    envs.close()
    return rate


if __name__ == "__main__":
    main()
