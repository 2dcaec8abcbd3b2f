"""Pictures of a run: one file and one image in TensorBoard, of what the figure shows."""

import io

import cv2
import numpy as np
from matplotlib.figure import Figure
from matplotlib.image import imread
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pose_obj_3d.training.logs import DPI, RunLog


def test_a_figure_is_saved_and_logged(tmp_path, drawn):
    figure = Figure(figsize=(3.13, 2.17))
    figure.subplots().plot([1, 3, 2])
    log = RunLog(tmp_path, "GPU: '0'")
    path = log.figure("errors", figure, 7)
    log.close()
    expected = io.BytesIO()
    figure.savefig(expected, format="png", dpi=DPI)
    expected.seek(0)
    wanted = np.round(255 * imread(expected)[..., :3])
    np.testing.assert_array_equal(cv2.imread(str(path))[..., ::-1], wanted)
    events = EventAccumulator(str(tmp_path)).Reload()
    (image,) = events.Images("an overview/errors")
    logged = cv2.imdecode(np.frombuffer(image.encoded_image_string, np.uint8), cv2.IMREAD_COLOR)
    assert image.step == 7
    np.testing.assert_array_equal(logged[..., ::-1], wanted)


def test_a_silent_log_writes_nothing(tmp_path, drawn):
    log = RunLog(tmp_path / "log", "", is_silent=True)
    log.figure("errors", Figure(), 0)
    log.close()
    assert not (tmp_path / "log").exists()
