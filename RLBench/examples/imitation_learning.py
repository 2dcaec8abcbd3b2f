"""Behaviour cloning of reach_target on live demonstrations: ridge regression on random features.

The policy sees joint positions, the tip and the target, and answers with joint velocities.
Prints the loss on its own and on new demonstrations, and how often the policy succeeds.
"""

import argparse
from itertools import pairwise

import numpy as np

from rlbench import Environment, ObservationConfig
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import JointVelocity
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.tasks import ReachTarget

FEATURES, RIDGE, STEPS = 1000, 30.0, 80


def see(obs):
    """Return (16,) what the policy sees of an observation."""
    tip, target = obs.gripper_pose[:3], obs.task_low_dim_state
    return np.concatenate([obs.joint_positions, tip, target, target - tip])


def pairs(demos):
    """Return what was seen, (N, 16), and the joint velocities that followed, (N, 7) [rad/s]."""
    steps = [(a, b) for demo in demos for a, b in pairwise(demo)]
    velocities = [(b.joint_positions - a.joint_positions) / 0.05 for a, b in steps]
    return np.array([see(a) for a, _ in steps]), np.array(velocities)


def fit(seen, velocities):
    """Return the policy: a function from (..., 16) to joint velocities (..., 7)."""
    rng = np.random.default_rng(0)
    mean, scale = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    W, b = rng.normal(0, 0.3, (seen.shape[1], FEATURES)), rng.uniform(-1, 1, FEATURES)

    def features(x):
        x = (x - mean) / scale
        return np.concatenate([np.tanh(x @ W + b), x, np.ones((*x.shape[:-1], 1))], axis=-1)

    F = features(seen)
    A = np.linalg.solve(F.T @ F + RIDGE * np.eye(F.shape[1]), F.T @ velocities)
    return lambda x: features(x) @ A


def success_rate(task, policy, episodes):
    """Return the share of episodes in which the policy reaches the target."""
    successes = 0
    for _ in range(episodes):
        _, obs = task.reset()
        for _ in range(STEPS):
            obs, reward, terminate = task.step(np.append(policy(see(obs)), 1.0))
            if terminate:
                successes += reward == 1.0
                break
    return successes / episodes


def main(argv=None):
    """Make demonstrations, fit, try out; return the success rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--demos", type=int, default=100)
    parser.add_argument("--episodes", type=int, default=50, help="in which the policy is tried")
    args = parser.parse_args(argv)
    env = Environment(
        action_mode=MoveArmThenGripper(JointVelocity(), Discrete()),
        obs_config=ObservationConfig(track_cams=(), keypoints=()),
    )
    env.launch()
    task = env.get_task(ReachTarget)
    seen, velocities = pairs(task.get_demos(args.demos, live_demos=True))
    policy = fit(seen, velocities)
    loss = np.mean((policy(seen) - velocities) ** 2)
    new_seen, new_velocities = pairs(task.get_demos(max(1, args.demos // 10), live_demos=True))
    new_loss = np.mean((policy(new_seen) - new_velocities) ** 2)
    print(f"{len(seen)} steps; loss {loss:.4f}, on new demonstrations {new_loss:.4f} (rad/s)^2")
    rate = success_rate(task, policy, args.episodes)
    print(f"success rate over {args.episodes} episodes: {rate:.2f}")
    env.shutdown()
    return rate


if __name__ == "__main__":
    main()
