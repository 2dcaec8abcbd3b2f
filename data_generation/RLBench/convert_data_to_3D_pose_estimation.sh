#!/bin/sh
# Forward to the script of the same name at the repository's root.
exec sh "$(dirname -- "$0")/../../convert_data_to_3D_pose_estimation.sh" "$@"
