"""Behaviour cloning of reach_target on 100 live demonstrations: ridge regression on features."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from rlbench import Environment, ObservationConfig
from rlbench.action_modes.action_mode import MoveArmThenGripper
from rlbench.action_modes.arm_action_modes import JointVelocity
from rlbench.action_modes.gripper_action_modes import Discrete
from rlbench.backend.observation import Observation
from rlbench.const import DEMO_DT
from rlbench.tasks import ReachTarget

MIX = np.random.default_rng(0).normal(0, 0.8, (1000, 17))


def features(obs: Observation) -> npt.NDArray[np.float64]:
    """Return (1017,) what the policy sees: joints, tip and target, also mixed at random."""
    tip, target = obs.gripper_pose[:3], obs.task_low_dim_state
    seen = np.concatenate([obs.joint_positions, tip, target, 5 * (target - tip), [1.0]])
    return np.concatenate([np.tanh(MIX @ seen), seen])


def main(n_demos: int = 100, episodes: int = 50) -> float:
    """Make demonstrations, learn, try out; return the success rate."""
    mode = MoveArmThenGripper(JointVelocity(), Discrete())
    env = Environment(mode, obs_config=ObservationConfig(track_cams=(), keypoints=()))
    env.launch()
    task = env.get_task(ReachTarget)
    # Episodes count on from the demonstrations: none is tried out that was learned from.
    task.seed(0)
    steps = [step for demo in task.get_demos(n_demos, live_demos=True) for step in pairwise(demo)]
    seen = np.array([features(obs) for obs, _ in steps])
    velocities = np.array([(b.joint_positions - a.joint_positions) / DEMO_DT for a, b in steps])
    policy = np.linalg.solve(seen.T @ seen + np.eye(seen.shape[1]), seen.T @ velocities)
    print(f"{len(steps)} steps; loss {np.mean((seen @ policy - velocities) ** 2):.4f} (rad/s)^2")
    successes = 0
    for _ in range(episodes):
        _, obs = task.reset()
        for _ in range(80):
            obs, reward, terminate = task.step(np.append(features(obs) @ policy, 1.0))
            if terminate:
                break
        successes += reward == 1.0
    print(f"success rate over {episodes} episodes: {successes / episodes:.2f}")
    env.shutdown()
    return successes / episodes


if __name__ == "__main__":
    main()
