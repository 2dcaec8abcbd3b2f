"""Reinforcement learning of reach_target through gymnasium: the cross-entropy method.

A linear policy maps the way from the tip to the target to joint moves; the shaped reward is
minus their distance.
"""

import gymnasium
import numpy as np
import numpy.typing as npt

import rlbench.gym  # noqa: F401 - registers the environments

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Observations = dict[str, Floats32]


def episode(
    env: gymnasium.Env[Observations, Floats32], weights: Floats, seed: int
) -> tuple[float, float, bool]:
    """Act for 2 s; return the mean reward, the last distance [m], and whether it was a success."""
    obs, _ = env.reset(seed=int(seed))
    rewards: list[float] = []
    done = False
    while not done:
        way = obs["task_low_dim_state"] - obs["gripper_pose"][:3]
        moves = np.clip(weights.reshape(7, 4) @ np.append(way, 0.1), -0.1, 0.1)  # [rad]
        action = np.append(moves, 0.04).astype(np.float32)  # the gripper stays open
        obs, reward, terminated, truncated, info = env.step(action)
        rewards.append(float(reward))
        done = terminated or truncated
    # An episode that ends early must not look worse than one that stays far away.
    rewards += rewards[-1:] * (40 - len(rewards))
    return float(np.mean(rewards)), -rewards[-1], bool(info["success"])


def main(
    iterations: int = 25, population: int = 20, episodes: int = 3
) -> tuple[float, float, float]:
    """Learn; return the mean last distances [m] before and after, and the success rate after."""
    env = gymnasium.make("rlbench/reach_target-state-v0", shaped_rewards=True, max_episode_steps=40)
    rng = np.random.default_rng(0)
    mean, spread = np.zeros(28), np.full(28, 0.2)
    new = range(10**6, 10**6 + 20)  # seeds that are not learned from
    before = float(np.mean([episode(env, mean, seed)[1] for seed in new]))
    for iteration in range(iterations):
        members = rng.normal(mean, spread, (population, 28))
        seeds = rng.integers(10**6, size=episodes)
        scores = [np.mean([episode(env, w, seed)[0] for seed in seeds]) for w in members]
        best = members[np.argsort(scores)[-5:]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.02
        print(f"iteration {iteration + 1}: best {max(scores):.3f}, mean {np.mean(scores):.3f}")
    _, distances, successes = zip(*[episode(env, mean, seed) for seed in new], strict=True)
    after, rate = float(np.mean(distances)), float(np.mean(successes))
    print(f"last distance {before:.3f} m before, {after:.3f} m after; success rate {rate:.2f}")
    env.close()
    return before, after, rate


if __name__ == "__main__":
    main()
