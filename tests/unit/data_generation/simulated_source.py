"""The real simulator, with faults put into some of its tasks."""

import os
from pathlib import Path

import numpy as np

from data_generation.RLBench.generation import simulator
from rlbench import environment
from rlbench.tasks import builtin_scene
from rlbench.tasks.pick_and_lift import PickAndLift
from rlbench.tasks.put_rubbish_in_bin import PutRubbishInBin
from rlbench.tasks.unplug_charger import UnplugCharger

BAD_BODY = '<body name="zz" pos="nan 0 0"><geom size="1e30"/></body></worldbody>'


def bad_scene(name):
    """Give the scene of a task; that of close_fridge has a body at NaN."""
    path = builtin_scene(name)
    if name != "close_fridge":
        return path
    bad = Path(os.environ["FAULTY_SCENES"]) / path.name
    bad.write_text(path.read_text().replace("</worldbody>", BAD_BODY))
    return bad


def put_at_nan(task, index):
    task.shape("pick_and_lift_target").set_position([np.nan, 0.0, 1.0])


def divide(task, index):
    return [1 // 0]


def spoil_motors(task):
    task.engine.data.qvel[:] = np.nan


def open_source(config, seed):
    environment.builtin_scene = bad_scene
    PickAndLift.init_episode = put_at_nan
    PutRubbishInBin.init_episode = divide
    UnplugCharger.step = spoil_motors
    return simulator.open_source(config, seed)


def fail_to_open(config, seed):
    raise OSError("no licence")


def die_at_start(config, seed):
    os._exit(4)
