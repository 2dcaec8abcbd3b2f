import numpy as np
import pytest

from pose_obj_3d.detector.learning import report
from pose_obj_3d.detector.types import Clip, Detections, Labels, Prompt

NAMES = ["robot/left_finger", "robot/right_finger"]


def clip(example, view, uv, seen):
    """A clip whose pictures do not matter."""
    picture = np.zeros((8, 8, 3), np.uint8)
    inside = np.ones(seen.shape, bool)
    prompt = Prompt(np.zeros((0, 8, 8), bool), np.zeros((0, 3), np.float32))
    frames = np.arange(len(uv))
    labels = Labels(uv, inside, seen)
    return Clip(9, example, view, frames, picture[None].repeat(len(uv), 0), picture, prompt, labels)


def detections(uv, sd=1.0):
    ones = np.ones(uv.shape[:2], np.float32)
    return Detections(uv, np.full(uv.shape, sd, np.float32), 0 * ones, ones, ones)


@pytest.fixture
def truth():
    rng = np.random.default_rng(0)
    return [rng.uniform(0, 200, (50, 2, 2)).astype(np.float32) for _ in range(2)]


def test_exchange_counts_only_where_one_view_differs(truth):
    """All views of a demo exchanged: no error. One of two: half of the detections are wrong."""
    seen = np.ones((50, 2), bool)
    clips = [clip(0, view, uv, seen) for view, uv in enumerate(truth)]
    both = [detections(uv[:, ::-1]) for uv in truth]
    one = [detections(truth[0][:, ::-1]), detections(truth[1])]
    for found, gross in ((both, 0.0), (one, 50.0)):
        scored = report.score(clips, found, [(0, 1)])
        part = report.summary(scored, 9.0, NAMES, 256)["seen"]["all"]
        assert part["gross_percent"] == pytest.approx(gross, abs=3)
    blamed = report.summary(report.score(clips, both, []), 9.0, NAMES, 256)
    assert blamed["seen"]["all"]["gross_percent"] > 90


def test_figures_are_those_of_the_errors():
    rng = np.random.default_rng(1)
    uv = rng.uniform(50, 200, (4000, 2, 2)).astype(np.float32)
    error = rng.normal(0, 2, uv.shape).astype(np.float32)
    error[::10] += 30
    seen = np.zeros((4000, 2), bool)
    seen[:, 0] = True
    scored = report.score([clip(0, 0, uv, seen)], [detections(uv + error, 2.0)], [])
    found = report.summary(scored, 3.0, NAMES, 256)
    part = found["seen"]["all"]
    assert part["count"] == 4000
    assert part["gross_percent"] == pytest.approx(10, abs=0.1)
    assert part["holds_68_percent"] == pytest.approx(0.9 * 68, abs=2)
    assert part["holds_95_percent"] == pytest.approx(0.9 * 95, abs=2)
    assert found["keypoints"][NAMES[1]]["seen"]["count"] == 0
    assert found["keypoints"][NAMES[1]]["hidden"]["count"] == 4000


def test_gate_keeps_small_claims(truth):
    seen = np.ones((50, 2), bool)
    clips = [clip(n, 0, truth[0], seen) for n in range(2)]
    found = [detections(truth[0], 1.0), detections(truth[0] + 30, 20.0)]
    result = report.summary(report.score(clips, found, []), 5.0, NAMES, 256)["seen"]
    assert result["all"]["gross_percent"] == 50
    assert result["kept"]["gross_percent"] == 0
    assert result["kept_percent"] == 50


def test_table_has_a_line_for_each_keypoint(truth):
    seen = np.ones((50, 2), bool)
    scored = report.score([clip(0, 0, truth[0], seen)], [detections(truth[0])], [])
    text = report.text_table(report.summary(scored, 5.0, NAMES, 256), "Title")
    assert text.startswith("Title\n")
    assert all(f"{name}, seen" in text for name in NAMES)
