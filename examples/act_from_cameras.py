"""A robot does a task by what four cameras see: load a checkpoint, look, lift, act."""

import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the repository

from data_generation.RLBench.command_line import Parser, at_least, report_error
from data_generation.RLBench.config import REPOSITORY, load_config
from data_generation.RLBench.errors import DataGenerationError
from data_generation.RLBench.executing.lifters import check_task, lift_poses, open_lifter
from data_generation.RLBench.executing.settings import parse_method, simulated_noises
from data_generation.RLBench.executing.watch import Watch
from rlbench.acting import Actor
from rlbench.backend.exceptions import RLBenchError
from rlbench.environment import Environment
from rlbench.observation_config import ObservationConfig
from rlbench.tasks import task_id

FRAMES = 7  # of a look, 50 ms each


def main(argv: Sequence[str] | None = None) -> bool:
    """Place one scene, look at it, lift what was seen, and act; tell whether the task is done."""
    parser = Parser(description=__doc__)
    parser.add_argument("--task", default="pick_and_lift")
    parser.add_argument("--lift_by", default="mean", help="best.pt of a training, or dlt, rts, ...")
    parser.add_argument("--seed", type=at_least(0), default=0)
    args = parser.parse_args(argv)
    method = parse_method(args.lift_by)
    lifter = open_lifter(method)
    config = load_config(REPOSITORY / "configs" / "dataset_config.json")
    cameras, size, task = config.track_cams, config.image_size, task_id(args.task)
    observed = ObservationConfig(keypoints=("frames",), track_cams=cameras, track_image_size=size)
    environment = Environment(obs_config=observed)
    robot = Actor(environment.get_task(args.task))
    print(robot.place(args.seed, example=0)[0])
    check_task(lifter, method, task, robot.task.keypoint_names)

    # Look: the robot stands still, a detector finds the keypoints in each camera's image.
    calibration = environment.track_calibration()
    watch = Watch(robot.task.keypoint_names, cameras, calibration, size, (task, 0))
    for observation in robot.watch(FRAMES):
        watch.add(observation)
    detections = watch.data(simulated_noises(config, [1.0])[0])

    # Lift: keypoints become points in space, and three of them a waypoint's pose.
    poses = lift_poses(lifter, detections, task, FRAMES // 2, "keep")
    true = robot.true_poses()  # for the reader alone
    for name, pose in poses.items():
        mm, deg = robot.deviation(name, pose.T, true[name])
        print(f"{name}: {mm:.1f} mm and {deg:.1f} degrees off, claimed {pose.sd_mm:.1f} mm")

    # Act: order and gripper commands are the task's, poses only what was lifted.
    acted = robot.follow({name: pose.T for name, pose in poses.items()})
    print("success" if acted.is_success else f"{acted.cause}: {acted.detail}")
    return acted.is_success


if __name__ == "__main__":
    try:
        sys.exit(0 if main() else 1)
    except (DataGenerationError, RLBenchError) as error:
        sys.exit(report_error("act_from_cameras.py", error))
