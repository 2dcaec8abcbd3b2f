"""Names and ids of tasks, and the tasks that are built in."""

import zlib
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from rlbench.backend.exceptions import TaskNotAvailableError
from rlbench.backend.task import Task
from rlbench.engines.names import LISTED, nearest

TASK_NAMES: tuple[str, ...] = (
    "reach_target",
    "close_box",
    "close_microwave",
    "plug_charger_in_power_supply",
    "toilet_seat_down",
    "take_umbrella_out_of_umbrella_stand",
    "put_umbrella_in_umbrella_stand",
    "slide_cabinet_open",
    "close_fridge",
    "pick_and_lift",
    "open_box",
    "open_microwave",
    "unplug_charger",
    "toilet_seat_up",
    "open_fridge",
    "turn_tap",
    "light_bulb_in",
    "tv_off",
    "open_window",
    "close_door",
    "push_button",
    "put_item_in_drawer",
    "open_drawer",
    "close_drawer",
    "turn_oven_on",
    "light_bulb_out",
    "tv_on",
    "open_oven",
    "open_door",
    "take_item_out_of_drawer",
    "beat_the_buzz",
    "block_pyramid",
    "change_clock",
    "close_jar",
    "close_laptop_lid",
    "empty_container",
    "empty_dishwasher",
    "get_ice_from_fridge",
    "hang_frame_on_hanger",
    "hannoi_square",
    "put_rubbish_in_bin",
    "put_shoes_in_box",
    "put_toilet_roll_on_stand",
    "put_tray_in_oven",
    "reach_and_drag",
    "remove_cups",
    "scoop_with_spatula",
    "set_the_table",
    "setup_checkers",
    "slide_block_to_target",
    "hockey",
    "insert_usb_in_computer",
    "press_switch",
    "play_jenga",
    "meat_off_grill",
    "hit_ball_with_queue",
    "screw_nail",
    "lamp_off",
    "lamp_on",
    "meat_on_grill",
    "move_hanger",
    "open_jar",
    "open_wine_bottle",
    "place_cups",
    "place_hanger_on_rack",
    "place_shape_in_shape_sorter",
    "put_bottle_in_fridge",
    "put_knife_in_knife_block",
    "put_money_in_safe",
    "put_plate_in_colored_dish_rack",
    "slide_cabinet_open_and_place_cups",
    "stack_blocks",
    "stack_cups",
    "stack_wine",
    "straighten_rope",
    "sweep_to_dustpan",
    "take_cup_out_from_cabinet",
    "take_frame_off_hanger",
    "take_lid_off_saucepan",
    "take_money_out_safe",
    "take_off_weighing_scales",
    "take_plate_off_colored_dish_rack",
    "take_shoes_out_of_box",
    "take_toilet_roll_off_stand",
    "take_usb_out_of_computer",
    "water_plants",
    "weighing_scales",
    "wipe_desk",
    "change_channel",
    "open_grill",
    "close_grill",
    "solve_puzzle",
    "pick_up_cup",
    "phone_on_base",
    "pour_from_cup_to_cup",
)
"""Names by task id; all but two are those of RLBench's `FS95_V1["train"]`, in its order.

Append only: an id is a position.
"""

_TASKS = Path(__file__).resolve().parent
_SCENES = _TASKS.parent / "task_mjcf"

AVAILABLE: tuple[str, ...] = tuple(
    name
    for name in TASK_NAMES
    if (_TASKS / f"{name}.py").is_file() and (_SCENES / f"{name}.xml").is_file()
)
"""Tasks with a Python file and a scene in this package, by id."""


def class_name(name: str) -> str:
    """Turn `pick_and_lift` into `PickAndLift`."""
    return "".join(word.capitalize() for word in name.split("_"))


FIRST_FREE_ID = 1000


def task_id(name: str) -> int:
    """Return the id of a task name: its position in `TASK_NAMES`.

    Names outside of the set have an id too, so that their data can be stored and seeded: 1000 plus
    the CRC-32 of the name.
    """
    if name in TASK_NAMES:
        return TASK_NAMES.index(name)
    return FIRST_FREE_ID + zlib.crc32(name.encode())


def builtin_file(name: str) -> Path:
    """Return the Python file of a built-in task."""
    return _TASKS / f"{name}.py"


def builtin_scene(name: str) -> Path:
    """Return the MJCF file of a built-in task, or of one with that name, there or not."""
    return _SCENES / f"{name}.xml"


def unknown_task(name: str, there: Sequence[str], lack: str | None) -> TaskNotAvailableError:
    """Return the error for a task that does not run here.

    Args:
        name: the task.
        there: names of those that do.
        lack: what of it is missing in a checkout of RLBench; None where there is no checkout.
    """
    here = ", ".join(f"{task_id(n)} {n}" if n in TASK_NAMES else n for n in there)
    if lack is not None:
        if len(there) > LISTED:
            here = f"{len(there)} tasks, such as {', '.join(nearest(name, there))}"
        return TaskNotAvailableError(f"task {name!r} is not available: {lack}; there are {here}")
    return TaskNotAvailableError(
        f"task {name!r} is not built in; available on the MuJoCo engine: {here}. "
        f"To add it, write tasks/{name}.py and task_mjcf/{name}.xml, or set RLBENCH_ROOT to a "
        "checkout of RLBench"
    )


def builtin_class(name: str) -> type[Task]:
    """Return the class of a built-in task.

    Raises:
        TaskNotAvailableError: it is not built in.
    """
    if name not in AVAILABLE:
        raise unknown_task(name, AVAILABLE, None)
    cls: type[Task] = getattr(import_module(f"rlbench.tasks.{name}"), class_name(name))
    return cls
