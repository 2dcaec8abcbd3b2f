"""Pictures of detections: what they show, what they are made of, and bad input."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
from matplotlib.patches import Ellipse

from pose_obj_3d import show_detections
from pose_obj_3d.common.archive.detections import claimed_covariance
from pose_obj_3d.evaluation import detections
from pose_obj_3d.evaluation.detection_pictures import video
from pose_obj_3d.evaluation.detection_pictures.charts import errors_figure, pixel_errors
from pose_obj_3d.evaluation.detection_pictures.clip import ellipses, make_clip
from pose_obj_3d.evaluation.detection_pictures.frames import frames_figure
from pose_obj_3d.formal import read_formal, write_formal
from pose_obj_3d.lifting.showing import painting
from pose_obj_3d.tracks.choosing import DETECTED, DETECTOR, Witness, choose_detections
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, write_scene

FRAMES, GROSS_PX = 12, 25
GROSS = 4, 2, 3  # frame, view, keypoint


def with_pictures(folder, size=IMAGE, frames=FRAMES):
    """Write an archive with detections, one of them far off, and grey pictures of its demos."""
    plain = read_formal(write_scene(folder / "p.npz", examples=5, frames=frames, detected=True))
    says = [x.copy() for x in plain.detections[0]]
    for x in says:
        x[GROSS[1], GROSS[0], GROSS[2], :2] += GROSS_PX
    meta = {
        **plain.meta,
        "image_pattern": "pictures/{variation}/{example}_{camera}_{frame}.png",
        "sources": {"T0": [{"variation": 0, "example": n} for n in range(5)]},
    }
    path = folder / "a.npz"
    write_formal(path, plain.tracks, meta, plain.intrinsics, plain.extrinsics, {0: says})
    (folder / "pictures" / "0").mkdir(parents=True)
    for example in plain.split(0)["test"]:
        for shade, camera in enumerate(NAMES):
            for frame in range(frames):
                picture = np.full((size, size, 3), 60 + 30 * shade, np.uint8)
                name = f"{example}_{camera}_{frame}.png"
                cv2.imwrite(str(folder / "pictures" / "0" / name), picture)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("pictured")


@pytest.fixture(scope="module")
def scene(folder):
    archive = read_formal(with_pictures(folder))
    data = choose_detections(archive, Witness(DETECTED, DETECTOR), [0])
    rig, ids = make_rig(data), keypoint_ids(data, [0], ("waypoints", "objects", "robot"))
    tracks = load_tracks(data, rig, [0], "test", ids)
    seen = detections.seen_points(archive, data, tracks, rig, ids)
    clip = make_clip(data, ids, tracks, rig, seen, tracks.truth, torch.arange(FRAMES))
    return tracks, rig, seen, clip


def test_a_clip_has_what_is_drawn(scene):
    _, _, _, clip = scene
    assert len(clip) == FRAMES
    assert clip.names == [
        "waypoints/waypoint0",
        "waypoints/waypoint1",
        "objects/block",
        "robot/tip",
    ]
    np.testing.assert_allclose(clip.lifted, clip.exact, atol=1e-6)
    places = {tuple(int(n) for n in at) for at in np.argwhere(clip.is_gross)}
    assert places == ({GROSS} if clip.visibility[GROSS] > 0 else set())
    assert clip.picture(NAMES[2], 3)[0, 0].tolist() == [120, 120, 120]
    assert clip.picture("none", 3) is None


def test_ellipses_hold_the_share_that_they_claim():
    covariance = np.array([[4.0, 1.5], [1.5, 1.0]])
    first, second, angle = ellipses(covariance[None], 68)[0]
    points = np.random.default_rng(0).multivariate_normal([0, 0], covariance, 20000)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    inside = np.square(points @ turn.T / [first, second]).sum(-1) <= 1
    assert inside.mean() == pytest.approx(0.68, abs=0.01)
    assert np.isnan(ellipses(np.full((1, 2, 2), np.nan), 68)).all()


def leaning(scene, rho):
    """The clip with one detection, whose claim leans."""
    clip = scene[3]
    says = np.array([[128.0, 128.0, 30.0, 30.0, rho, 1.0, 1.0]])
    shape = ellipses(claimed_covariance(says), 68)[0]
    return dataclasses.replace(
        clip,
        uv=np.full_like(clip.uv, 128.0),
        ellipses=np.broadcast_to(shape, clip.ellipses.shape),
        is_usable=np.arange(clip.uv.shape[2]) == np.zeros(clip.is_usable.shape),
    )


@pytest.mark.parametrize("rho", [0.9, -0.9])
def test_ellipses_lean_as_rho_says_with_v_down(scene, rho):
    clip = leaning(scene, rho)
    axes = frames_figure(clip, [0], "title").axes[0]
    (patch,) = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
    u, v = (patch.get_path().vertices @ patch.get_patch_transform().get_matrix()[:2, :2].T).T
    assert np.corrcoef(u, v)[0, 1] == pytest.approx(rho, abs=0.1)
    low, high = axes.get_ylim()
    assert low > high  # v down, as in the picture
    panel = np.zeros((IMAGE, IMAGE, 3), np.uint8)
    video._ellipse(panel, clip.uv[0, 0, 0], clip.ellipses[0, 0, 0], 1.0, ((255, 255, 255), 1))
    v, u = np.nonzero(panel[..., 0] > 128)
    assert np.corrcoef(u, v)[0, 1] == pytest.approx(rho, abs=0.1)
    picture = np.zeros((IMAGE, IMAGE, 3), np.uint8)
    covariance = 900 * np.array([[1, rho], [rho, 1]])
    painting.ellipse(picture, np.array([128.0, 128.0]), covariance, 1.5, (255, 255, 255))
    v, u = np.nonzero(picture[..., 0] > 128)
    assert np.corrcoef(u, v)[0, 1] == pytest.approx(rho, abs=0.1)


def test_frames_show_ellipses_dashes_and_gross_errors(scene):
    _, _, _, clip = scene
    figure = frames_figure(clip, [GROSS[0], 8], "title")
    axes = figure.axes[GROSS[1]]
    drawn = [patch for patch in axes.patches if isinstance(patch, Ellipse)]
    assert len(drawn) == clip.is_usable[GROSS[0], GROSS[1]].sum()
    hidden = (clip.visibility[GROSS[0], GROSS[1]] == 0.5) & clip.is_usable[GROSS[0], GROSS[1]]
    assert sum(patch.get_linestyle() not in ("solid", "-") for patch in drawn) == hidden.sum()
    squares = [line for line in axes.lines if line.get_marker() == "s"]
    assert len(squares) == clip.is_gross[GROSS[0], GROSS[1]].sum()


def test_charts_say_what_the_claims_hold(scene):
    tracks, rig, seen, _ = scene
    pixels = pixel_errors(tracks, rig, seen)
    found = detections.errors_px(tracks, rig, seen)
    for kind, x in pixels.items():
        assert np.median(x.distance) == pytest.approx(found[kind]["median_px"], rel=0.1)
        assert x.claimed.min() > 0.5
    figure = errors_figure(pixels, {"robust": tracks.xyz}, tracks, seen, "title")
    labels = [text.get_text() for text in figure.axes[2].get_legend().get_texts()]
    share = found["seen"]["coverage_68_percent"]
    assert labels[0].startswith(f"seen: 68 % holds {share:.0f} %")


def test_charts_without_claims_say_so(scene):
    tracks, rig, seen, _ = scene
    silent = dataclasses.replace(tracks, claims=None)
    figure = errors_figure(pixel_errors(silent, rig, seen), {}, silent, seen, "title")
    texts = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert texts == ["these detections claim nothing"] * 2


def test_a_frame_of_the_video_has_all_cameras(scene):
    _, _, _, clip = scene
    whole = video.compose(clip, GROSS[0], "title")
    assert whole.shape == (2 * video.PANEL + video.CAPTION, 2 * video.PANEL, 3)
    shades = [
        int(np.median(whole[r : r + video.PANEL, c : c + video.PANEL]))
        for r in (0, video.PANEL)
        for c in (0, video.PANEL)
    ]
    assert shades == [60, 90, 120, 150]


def test_the_command_writes_pictures_and_a_video(folder, scene, tmp_path, capsys):
    del scene  # made the archive
    assert show_detections.main([str(folder / "a.npz"), "--out", str(tmp_path)]) == 0
    shown = capsys.readouterr()
    names = [line.rsplit("/", 1)[-1] for line in shown.out.splitlines()]
    assert names == ["errors.png", "frames.png", "detections.mp4"]
    assert "detector drawn" in shown.err
    assert "inside the claimed 68 % [%]" in shown.err
    found = cv2.VideoCapture(str(tmp_path / "detections.mp4"))
    assert int(found.get(cv2.CAP_PROP_FRAME_COUNT)) == FRAMES
    assert found.get(cv2.CAP_PROP_FPS) == pytest.approx(20)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names)


def test_simulated_detections_without_pictures_are_drawn_on_grey(tmp_path, capsys):
    path = write_scene(tmp_path / "plain.npz", examples=5, frames=FRAMES)
    flags = ["--out", str(tmp_path / "out"), "--no_video", "--example", "0", "--frames", "3"]
    assert show_detections.main([str(path), *flags]) == 0
    shown = capsys.readouterr().err
    assert "white noise" in shown
    assert shown.count("there are no pictures of these frames") == 1
    assert not (tmp_path / "out" / "detections.mp4").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--example", "9"], "T0 has demonstrations 0 to 4"),
        (["--frames", "12"], "the demonstration has frames 0 to 11"),
        (["--task", "3"], "task T3 is missing"),
        (["--detections", "detected"], "has no detections by a detector"),
    ],
)
def test_bad_flags_are_one_line(tmp_path, capsys, flags, message):
    path = write_scene(tmp_path / "plain.npz", examples=5, frames=FRAMES)
    assert show_detections.main([str(path), "--out", str(tmp_path / "out"), *flags]) == 2
    (line,) = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error")]
    assert message in line


def test_pictures_of_another_size_are_one_line(tmp_path, capsys):
    path = with_pictures(tmp_path, size=128)
    assert show_detections.main([str(path), "--out", str(tmp_path / "out")]) == 2
    assert (
        "has 128 x 128 px, but the archive is of images of 256 x 256 px" in capsys.readouterr().err
    )
