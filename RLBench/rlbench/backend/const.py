"""Names of files and folders of RLBench's stored demonstrations."""

IMAGE_FORMAT = "%d.png"
EPISODES_FOLDER = "episodes"
EPISODE_FOLDER = "episode%d"
VARIATIONS_FOLDER = "variation%d"
VARIATIONS_ALL_FOLDER = "all_variations"
"""Holds the episodes of all variations in data sets of PerAct's fork, each with its number."""
LOW_DIM_PICKLE = "low_dim_obs.pkl"
VARIATION_DESCRIPTIONS = "variation_descriptions.pkl"
VARIATION_NUMBER = "variation_number.pkl"
TTT_FILE = "task_design.ttt"
"""The scene that is the same for all tasks, in a checkout's folder `rlbench`."""
DEPTH_SCALE = 2**24 - 1
"""Steps between near and far plane in stored depth images."""
IMAGE_KINDS = ("rgb", "depth", "mask")
"""Images that are stored; point clouds are made of depth."""


def image_folder(camera: str, kind: str) -> str:
    """Return the folder of a camera's images of one of `IMAGE_KINDS`, in that of the episode."""
    return f"{camera}_{kind}"


LEFT_SHOULDER_RGB_FOLDER = image_folder("left_shoulder", "rgb")
LEFT_SHOULDER_DEPTH_FOLDER = image_folder("left_shoulder", "depth")
LEFT_SHOULDER_MASK_FOLDER = image_folder("left_shoulder", "mask")
RIGHT_SHOULDER_RGB_FOLDER = image_folder("right_shoulder", "rgb")
RIGHT_SHOULDER_DEPTH_FOLDER = image_folder("right_shoulder", "depth")
RIGHT_SHOULDER_MASK_FOLDER = image_folder("right_shoulder", "mask")
OVERHEAD_RGB_FOLDER = image_folder("overhead", "rgb")
OVERHEAD_DEPTH_FOLDER = image_folder("overhead", "depth")
OVERHEAD_MASK_FOLDER = image_folder("overhead", "mask")
WRIST_RGB_FOLDER = image_folder("wrist", "rgb")
WRIST_DEPTH_FOLDER = image_folder("wrist", "depth")
WRIST_MASK_FOLDER = image_folder("wrist", "mask")
FRONT_RGB_FOLDER = image_folder("front", "rgb")
FRONT_DEPTH_FOLDER = image_folder("front", "depth")
FRONT_MASK_FOLDER = image_folder("front", "mask")
