"""Let a robot do tasks by what cameras see: watch the scene, lift its keypoints, act.

python execute_keypoints.py --path_out results --tasks 9 12 --methods truth dlt STC=path/to/best.pt

Exit code: 0 all scenes were executed, whatever became of them; 2 a user's error.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("execute_keypoints.py", 850, simulates=True)

from data_generation.RLBench.executing.command import main

if __name__ == "__main__":
    sys.exit(main())
