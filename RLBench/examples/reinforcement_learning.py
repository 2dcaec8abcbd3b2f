"""Reinforcement learning of reach_target through gymnasium: the cross-entropy method.

A linear policy maps the way from the tip to the target to joint moves; the shaped reward is
minus their distance. Prints the mean distance at the end of an episode and the success rate.
"""

import argparse

import gymnasium
import numpy as np

import rlbench.gym  # noqa: F401 - registers the environments

STEPS, ELITE = 40, 5


def act(weights, obs):
    """Return an action: (7,) relative joint positions [rad], and an open gripper."""
    way = obs["task_low_dim_state"] - obs["gripper_pose"][:3]
    moves = weights.reshape(7, 4) @ np.append(way, 0.1)
    return np.append(np.clip(moves, -0.1, 0.1), 0.04).astype(np.float32)


def episode(env, weights, seed):
    """Return the sum of rewards, the last distance [m], and whether the target was reached."""
    obs, _ = env.reset(seed=seed)
    total, reward, steps, terminated, truncated = 0.0, 0.0, 0, False, False
    while not (terminated or truncated):
        obs, reward, terminated, truncated, info = env.step(act(weights, obs))
        total, steps = total + reward, steps + 1
    # An episode that ends early must not look worse than one that stays far away.
    return total + reward * (STEPS - steps), -reward, info["success"]


def test(env, weights, episodes):
    """Return the mean last distance [m] and the success rate in episodes not trained on."""
    runs = [episode(env, weights, 10**6 + i) for i in range(episodes)]
    return np.mean([run[1] for run in runs]), np.mean([run[2] for run in runs])


def main(argv=None):
    """Learn; return the mean last distances [m] before and after, and the success rate after."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--iterations", type=int, default=25)
    parser.add_argument("--population", type=int, default=20)
    parser.add_argument("--episodes", type=int, default=3, help="of each member")
    args = parser.parse_args(argv)
    env = gymnasium.make(
        "rlbench/reach_target-state-v0", shaped_rewards=True, max_episode_steps=STEPS
    )
    rng = np.random.default_rng(0)
    mean, spread = np.zeros(28), np.full(28, 0.2)
    before, _ = test(env, mean, 10)
    for iteration in range(args.iterations):
        members = rng.normal(mean, spread, (args.population, 28))
        seeds = rng.integers(10**6, size=args.episodes)
        scores = [np.mean([episode(env, w, int(s))[0] for s in seeds]) for w in members]
        best = members[np.argsort(scores)[-ELITE:]]
        mean, spread = best.mean(axis=0), best.std(axis=0) + 0.02
        print(f"iteration {iteration + 1}: best {max(scores):.2f}, mean {np.mean(scores):.2f}")
    after, rate = test(env, mean, 20)
    print(f"last distance {before:.3f} m before, {after:.3f} m after; success rate {rate:.2f}")
    env.close()
    return before, after, rate


if __name__ == "__main__":
    main()
