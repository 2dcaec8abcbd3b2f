"""Train and evaluate with 3D labels.

For example `python run_h36m_waypoints.py --cfg ./cfg/submit/config_waypoints_task_0.yaml`.
"""

import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from pose_obj_3d.common import process_start  # noqa: E402

if __name__ == "__main__":
    process_start.prepare("run_h36m_waypoints.py", 780)

from pose_obj_3d.train_command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(unsupervised=False))
