"""Modules and names that scripts written for RLBench import: they stay where they are."""

import subprocess
import sys
from importlib import import_module

import pytest

PATHS = {
    "rlbench": (
        "ActionMode",
        "ArmActionMode",
        "CameraConfig",
        "Environment",
        "ObservationConfig",
        "RandomizeEvery",
        "VisualRandomizationConfig",
    ),
    "rlbench.environment": ("Environment",),
    "rlbench.task_environment": ("TaskEnvironment",),
    "rlbench.observation_config": ("CameraConfig", "ObservationConfig"),
    "rlbench.demo": ("Demo",),
    "rlbench.const": ("SUPPORTED_ROBOTS", "colors"),
    "rlbench.noise_model": ("GaussianNoise", "Identity", "NoiseModel"),
    "rlbench.utils": ("InvalidTaskName", "get_stored_demos", "name_to_task_class"),
    "rlbench.gym": ("RLBenchEnv",),
    "rlbench.action_modes.action_mode": (
        "ActionMode",
        "JointPositionActionMode",
        "MoveArmThenGripper",
    ),
    "rlbench.action_modes.arm_action_modes": (
        "ArmActionMode",
        "ERJointViaIK",
        "EndEffectorPoseViaIK",
        "EndEffectorPoseViaPlanning",
        "JointPosition",
        "JointTorque",
        "JointVelocity",
        "RelativeFrame",
        "assert_action_shape",
        "assert_unit_quaternion",
        "calculate_delta_pose",
    ),
    "rlbench.action_modes.gripper_action_modes": (
        "Discrete",
        "GripperActionMode",
        "GripperJointPosition",
        "assert_action_shape",
    ),
    "rlbench.backend.conditions": (
        "ColorCondition",
        "Condition",
        "ConditionSet",
        "DetectedCondition",
        "DetectedSeveralCondition",
        "EmptyCondition",
        "FollowCondition",
        "GraspedCondition",
        "JointCondition",
        "NothingGrasped",
        "OrConditions",
    ),
    "rlbench.backend.const": (
        "DEPTH_SCALE",
        "EPISODES_FOLDER",
        "EPISODE_FOLDER",
        "FRONT_DEPTH_FOLDER",
        "FRONT_MASK_FOLDER",
        "FRONT_RGB_FOLDER",
        "IMAGE_FORMAT",
        "LEFT_SHOULDER_RGB_FOLDER",
        "LOW_DIM_PICKLE",
        "OVERHEAD_RGB_FOLDER",
        "RIGHT_SHOULDER_RGB_FOLDER",
        "TTT_FILE",
        "VARIATIONS_FOLDER",
        "VARIATION_DESCRIPTIONS",
        "WRIST_RGB_FOLDER",
    ),
    "rlbench.backend.exceptions": (
        "BoundaryError",
        "DemoError",
        "InvalidActionError",
        "NoWaypointsError",
        "TaskEnvironmentError",
        "WaypointError",
    ),
    "rlbench.backend.observation": ("Observation",),
    "rlbench.backend.robot": ("Robot",),
    "rlbench.backend.scene": ("Scene",),
    "rlbench.backend.spawn_boundary": ("SpawnBoundary",),
    "rlbench.backend.task": ("TASKS_PATH", "Task"),
    "rlbench.backend.task_utils": ("sample_procedural_objects",),
    "rlbench.backend.utils": (
        "float_array_to_grayscale_image",
        "float_array_to_rgb_image",
        "image_to_float_array",
        "rgb_handles_to_mask",
        "task_file_to_task_class",
    ),
    "rlbench.backend.waypoints": ("Point", "PredefinedPath", "Waypoint"),
    "rlbench.sim2real.domain_randomization": (
        "DynamicsRandomizationConfig",
        "RandomizationConfig",
        "RandomizeEvery",
        "VisualRandomizationConfig",
    ),
    "rlbench.tasks": ("FS95_V1", "PickAndLift", "ReachTarget"),
    "rlbench.tasks.reach_target": ("ReachTarget",),
    "rlbench.tasks.pick_and_lift": ("PickAndLift",),
    "rlbench.tasks.take_money_out_safe": ("TakeMoneyOutSafe",),
}


# Each is imported in a process of its own, forked from one that has loaded nothing.
IMPORT_EACH = """
import importlib, os, sys
for module in sys.argv[1:]:
    if not os.fork():
        importlib.import_module(module)
        os._exit(0)
    assert os.wait()[1] == 0, module
"""


@pytest.mark.filterwarnings("ignore:FS95_V1")  # most of its tasks are not built in
@pytest.mark.parametrize("module", PATHS)
def test_names_are_where_scripts_look_for_them(module):
    found = import_module(module)
    missing = [name for name in PATHS[module] if not hasattr(found, name)]
    assert not missing


@pytest.mark.slow
def test_any_module_may_be_imported_first(tmp_path):
    run = subprocess.run(
        [sys.executable, "-I", "-c", IMPORT_EACH, *PATHS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-2000:]
