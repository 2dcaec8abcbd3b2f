"""Names of the keypoints that OpenPose's and Pose2Sim's body models have."""

_COCO = (
    *("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder", "right_shoulder"),
    *("left_elbow", "right_elbow", "left_wrist", "right_wrist", "left_hip", "right_hip"),
    *("left_knee", "right_knee", "left_ankle", "right_ankle"),
)
_ARMS_FIRST = (
    *("right_shoulder", "right_elbow", "right_wrist", "left_shoulder", "left_elbow", "left_wrist"),
)
_RIGHT_LEG = ("right_hip", "right_knee", "right_ankle")
_LEFT_LEG = ("left_hip", "left_knee", "left_ankle")
_FACE = ("right_eye", "left_eye", "right_ear", "left_ear")
_FEET = ("left_big_toe", "left_small_toe", "left_heel")
_RIGHT_FEET = ("right_big_toe", "right_small_toe", "right_heel")
BODIES = {
    # OpenPose's BODY_25, COCO and MPI
    25: (
        *("nose", "neck", *_ARMS_FIRST, "mid_hip", *_RIGHT_LEG, *_LEFT_LEG, *_FACE),
        *(*_FEET, *_RIGHT_FEET),
    ),
    18: ("nose", "neck", *_ARMS_FIRST, *_RIGHT_LEG, *_LEFT_LEG, *_FACE),
    15: ("head", "neck", *_ARMS_FIRST, *_RIGHT_LEG, *_LEFT_LEG, "chest"),
    # COCO and Halpe, as Pose2Sim writes them
    17: _COCO,
    26: (
        *_COCO,
        *("head", "neck", "mid_hip", "left_big_toe", "right_big_toe"),
        *("left_small_toe", "right_small_toe", "left_heel", "right_heel"),
    ),
    133: (
        *_COCO,
        *_FEET,
        *_RIGHT_FEET,
        *(f"face{i}" for i in range(68)),
        *(f"left_hand{i}" for i in range(21)),
        *(f"right_hand{i}" for i in range(21)),
    ),
}
"""Number of keypoints -> their names, in the files' order."""


def body_names(count: int) -> tuple[str, ...]:
    """Return the names; numbers where no known model has so many keypoints."""
    return BODIES.get(count, tuple(f"keypoint{i}" for i in range(count)))
