"""Train detectors of keypoints, one for each fold.

For example `python run_detector.py --cfg ./cfg/detector/task_9.yaml`.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from pose_obj_3d.common import process_start  # noqa: E402

if __name__ == "__main__":
    process_start.prepare("run_detector.py", 780)

from pose_obj_3d.detector.training_command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
