"""The ordered task set and the tasks that are built in."""

from importlib import import_module
from pathlib import Path

from rlbench.backend.exceptions import TaskNotAvailableError
from rlbench.backend.task import Task

FS95_V1: tuple[str, ...] = (
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
"""Names by task id. Append only: an id is a position."""

_TASKS = Path(__file__).resolve().parent
_SCENES = _TASKS.parent / "task_mjcf"

AVAILABLE: tuple[str, ...] = tuple(
    name
    for name in FS95_V1
    if (_TASKS / f"{name}.py").is_file() and (_SCENES / f"{name}.xml").is_file()
)
"""Tasks with a Python file and a scene in this package, by id."""


def class_name(name: str) -> str:
    """Turn `pick_and_lift` into `PickAndLift`."""
    return "".join(word.capitalize() for word in name.split("_"))


def task_id(name: str) -> int:
    """Return the id of a task name.

    Raises:
        TaskNotAvailableError: the name is not in the set.
    """
    if name not in FS95_V1:
        raise TaskNotAvailableError(f"task {name!r} is not one of the {len(FS95_V1)} known names")
    return FS95_V1.index(name)


def get_task_class(name: str) -> type[Task]:
    """Return the class of a built-in task.

    Raises:
        TaskNotAvailableError: the task has no implementation here.
    """
    if name not in AVAILABLE:
        here = ", ".join(f"{FS95_V1.index(n)} {n}" for n in AVAILABLE)
        raise TaskNotAvailableError(
            f"task {name!r} is not built in; available on the MuJoCo engine: {here}. "
            f"To add it, write tasks/{name}.py and task_mjcf/{name}.xml"
        )
    cls: type[Task] = getattr(import_module(f"rlbench.tasks.{name}"), class_name(name))
    return cls


def __getattr__(name: str) -> type[Task]:
    """Load the class of an available task: `from rlbench.tasks import ReachTarget`."""
    for task in AVAILABLE:
        if class_name(task) == name:
            return get_task_class(task)
    known = ", ".join(class_name(task) for task in AVAILABLE)
    raise AttributeError(f"module 'rlbench.tasks' has no {name!r}; its task classes are {known}")
