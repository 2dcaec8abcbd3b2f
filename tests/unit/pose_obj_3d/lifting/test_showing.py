"""What joins keypoints, which frames are read, and what a viewer's recording holds."""

import json
from contextlib import contextmanager
from dataclasses import replace

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from pose_obj_3d.common.colours import rgb
from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.export_points import __main__ as export_points
from pose_obj_3d.lifting.showing import (
    painting,
    picture_of_images,
    picture_of_space,
    picture_of_time,
    pictured,
    pictures,
    video,
    video_file,
)
from pose_obj_3d.lifting.showing import skeleton as skeletons
from pose_obj_3d.lifting.showing.frames import Frames, check_pattern
from pose_obj_3d.lifting.showing.skeleton import skeleton_of
from pose_obj_3d.lifting.showing.space import view_axes
from pose_obj_3d.lifting.track_files.track_file import read_tracks
from pose_obj_3d.lifting.writing.points import LiftedPoints
from pose_obj_3d.lifting.writing.trc import UP
from tests.unit.pose_obj_3d.synthetic import IMAGE, NAMES, project, rig

T = 40


def lifted(points, names=None, sd=0.5, starts=(0,)):
    """Points [mm] as `lift` gives them, each coordinate with the same claimed deviation."""
    frames, K = points.shape[:2]
    return LiftedPoints(
        points=points,
        covariance=np.broadcast_to(np.eye(3) * sd**2, (frames, K, 3, 3)).copy(),
        is_measured=np.ones((frames, K), bool),
        weights=np.ones((len(NAMES), frames, K), np.float32),
        noise_px=np.ones(len(NAMES)),
        camera_names=list(NAMES),
        keypoint_names=names or [f"objects/p{k}" for k in range(K)],
        sequence_starts=list(starts),
        units="mm",
        fps=20.0,
        method="RTS smoother",
    )


def chain(rng, joints=4, length=100.0):
    """Joints of a moving chain, each bone turning on its own (T, joints, 3)."""
    steps = rng.normal(size=(T, joints - 1, 3))
    steps = np.cumsum(steps, 0) + 3 * rng.normal(size=(joints - 1, 3))
    steps *= length / np.linalg.norm(steps, axis=-1, keepdims=True)
    way = np.cumsum(rng.normal(size=(T, 1, 3)) * 30, 0)
    return way + np.concatenate([np.zeros((T, 1, 3)), np.cumsum(steps, 1)], 1)


def test_bones_of_a_chain_are_learned():
    rng = np.random.default_rng(0)
    still = np.array([[500.0, 0, 0], [600, 0, 0]])
    points = np.concatenate([chain(rng), np.broadcast_to(still, (T, 2, 3))], 1)
    points += rng.normal(size=points.shape) * 0.5
    order = rng.permutation(6)
    found = skeleton_of("learned", lifted(points[:, order]))
    bones = {tuple(sorted(order[list(bone)].tolist())) for bone in found.bones}
    assert bones == {(0, 1), (1, 2), (2, 3)}  # what stays still proves nothing
    assert "3 lines, learned" in found.note
    assert "varies by" in found.note
    assert len(found.note) < 500


def test_bones_of_a_rigid_body_form_no_loop():
    rng = np.random.default_rng(1)
    turn = np.linalg.qr(rng.normal(size=(T, 3, 3)))[0]
    corners = rng.normal(size=(5, 3)) * 50
    way = rng.normal(size=(T, 1, 3)) * 200
    other = rng.normal(size=(T, 1, 3)) * 200
    body = way + np.einsum("tij,kj->tki", turn, corners)
    found = skeleton_of("learned", lifted(np.concatenate([body, other], 1)))
    assert len(found.bones) == 4
    assert {k for bone in found.bones for k in bone} == set(range(5))


def test_nothing_is_learned_from_few_frames_or_from_what_moves_alone():
    rng = np.random.default_rng(2)
    alone = rng.normal(size=(T, 3, 3)) * 100
    assert not skeleton_of("learned", lifted(alone)).bones
    few = chain(rng)[: skeletons.MIN_FRAMES - 1]
    assert "no pair" in skeleton_of("learned", lifted(few)).note


def test_bones_are_given_by_name(tmp_path):
    names = ["arm/hip", "arm/knee", "left-foot", "foot", "left"]
    points = lifted(np.zeros((2, 5, 3)), names)
    assert skeleton_of("hip-knee, arm/knee-foot,knee-hip", points).bones == [(0, 1), (1, 3)]
    assert skeleton_of("knee-left-foot", points).bones == [(1, 2)]
    assert not skeleton_of("none", points).bones
    (tmp_path / "a.txt").write_text("# legs\nhip-knee\n\nknee-foot\n", encoding="utf-8")
    assert skeleton_of(str(tmp_path / "a.txt"), points).bones == [(0, 1), (1, 3)]
    (tmp_path / "a.json").write_text(json.dumps([["left", "foot"]]), encoding="utf-8")
    assert skeleton_of(str(tmp_path / "a.json"), points).bones == [(3, 4)]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("hip-kneee", "did you mean knee?"),
        ("hip", "no pair"),
        ("hip-hip", "two different"),
        (",", "no pairs"),
        ("bones.json", "no such file"),
    ],
)
def test_bones_that_are_none(wanted, said):
    with pytest.raises(ConfigError, match=f"--skeleton.*{said.replace('?', '.')}"):
        skeleton_of(wanted, lifted(np.zeros((2, 2, 3)), ["hip", "knee"]))


def test_damaged_files_of_bones(tmp_path):
    for text in ("{}", "[1", "[[1, 2, 3]]", '["a"]'):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(ConfigError, match="--skeleton"):
            skeleton_of(str(tmp_path / "a.json"), lifted(np.zeros((2, 2, 3))))


def picture(value):
    return np.full((24, 32, 3), (value, 10, 200), np.uint8)


def test_frames_come_from_files_or_from_videos(tmp_path, caplog):
    writer = cv2.VideoWriter(
        str(tmp_path / "left.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 20, (32, 24)
    )
    assert writer.isOpened()
    for t in range(9):
        cv2.imwrite(str(tmp_path / f"left_{t:03d}.png"), picture(20 * t)[..., ::-1])
        writer.write(np.ascontiguousarray(picture(20 * t)[..., ::-1]))
    writer.release()
    order = (0, 1, 5, 2, 8)
    for pattern, off in (("{view}_{frame:03d}.png", 0), ("{view}.mp4", 12)):
        with Frames(str(tmp_path / pattern), ["left", "right"]) as frames:
            for t in order:
                found = frames.read(0, t)
                assert abs(found.astype(int) - picture(20 * t)).max() <= off
            assert frames.read(0, 9) is None
            assert frames.read(1, 0) is None
    assert len([r for r in caplog.records if "cannot be read" in r.message]) == 2  # each said once
    assert Frames(None, ["left"]).read(0, 0) is None


def test_patterns_must_tell_frames_or_cameras_apart():
    for pattern in (None, "a/{frame}.png", "{view}.mp4"):
        check_pattern(pattern)
    with pytest.raises(ConfigError, match="one file for all"):
        check_pattern("video.mp4")
    with pytest.raises(ConfigError, match=r"allowed are \{view\} and \{frame\}"):
        check_pattern("{camera}.mp4")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A result of earlier [mm], its tracks, and a picture for each frame of one camera."""
    folder = tmp_path_factory.mktemp("recorded")
    rng = np.random.default_rng(0)
    K, E = rig()
    points = np.array([250.0, 0, 900]) + chain(rng, length=40) * 0.5
    points -= points.mean((0, 1)) - np.array([250.0, 0, 900])
    made = lifted(points, starts=(0, 25))
    made.is_measured[7, 1] = False
    made.weights[:, 7, 1] = 0
    made.points[9, 2] = made.covariance[9, 2] = np.nan
    uv = project(points / 1000, K, E)
    uv[0, 3, 0] = np.nan
    E = E * np.array([1, 1, 1, 1000])
    values = {name: getattr(made, name) for name in vars(made)}
    np.savez_compressed(folder / "points3d.npz", **values)
    np.savez_compressed(
        folder / "tracks.npz",
        points=uv,
        intrinsics=K,
        extrinsics=E,
        units="mm",
        truth=points,
        camera_names=np.array(NAMES),
        keypoint_names=np.array(made.keypoint_names),
        sequence_starts=np.array([0, 25]),
        image_size=np.array([IMAGE, IMAGE]),
    )
    for t in range(T):
        cv2.imwrite(str(folder / f"{NAMES[0]}_{t}.png"), picture(t)[..., ::-1])
    return folder, made, uv


def export(folder, out, *flags):
    tracks = ["--points2d", str(folder / "tracks.npz"), "--out", str(out)]
    images = ["--images", str(folder / "{view}_{frame}.png")]
    return export_points.main([str(folder / "points3d.npz"), *tracks, *images, *flags])


def test_a_recording_is_read_by_reruns_own_reader(recorded, tmp_path, monkeypatch, capsys):
    pytest.importorskip("rerun", reason="recordings need rerun-sdk (.[rerun])")
    chunk = pytest.importorskip("rerun.chunk", reason="this rerun-sdk has no reader of recordings")
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    folder, made, uv = recorded
    assert export(folder, tmp_path, "--view", "--skeleton", "p0-p1", "--up", "z") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["points3d.rrd"]
    assert str(tmp_path / "points3d.rrd") in capsys.readouterr().out
    read, static = {}, {}
    for part in chunk.RrdReader(tmp_path / "points3d.rrd").stream():
        batch = part.to_record_batch()
        kind = read if "frame" in batch.schema.names else static
        kind.setdefault(part.entity_path, []).append(batch)
    (points,) = read["/world/lifted"]
    assert points.column("frame").to_pylist() == list(range(T))
    np.testing.assert_allclose(
        [float(x.total_seconds()) for x in points.column("time").to_pylist()], np.arange(T) / 20
    )
    found = points.column("Points3D:positions").to_pylist()
    assert [len(row) for row in found] == [3 if t == 9 else 4 for t in range(T)]
    np.testing.assert_allclose(found[8], made.points[8] / 1000, rtol=1e-5)
    (regions,) = read["/world/lifted/regions_95"]
    np.testing.assert_allclose(
        regions.column("Ellipsoids3D:half_sizes").to_pylist()[0],
        np.full((4, 3), 0.0005 * np.sqrt(7.815)),
        rtol=1e-4,
    )
    (trails,) = read["/world/lifted/trails"]
    lengths = [len(row) for row in trails.column("LineStrips3D:strips").to_pylist()]
    assert (lengths[0], lengths[1], lengths[24], lengths[25]) == (0, 4, 4, 0)  # a new sequence
    (bones,) = read["/world/lifted/bones"]
    assert len(bones.column("LineStrips3D:strips").to_pylist()[0]) == 1
    assert "/world/truth" in read
    camera = f"/world/cameras/{NAMES[0]}"
    for entity in (f"{camera}/detected", f"{camera}/reprojected"):
        (hidden,) = static[entity]
        assert hidden.column("Points2D:show_labels").to_pylist() == [[False]]
    (detected,) = read[f"{camera}/detected"]
    rows = detected.column("Points2D:positions").to_pylist()
    assert (len(rows[3]), len(rows[4])) == (3, 4)
    np.testing.assert_allclose(rows[4], uv[0, 4], rtol=1e-5)
    (again,) = read[f"{camera}/reprojected"]
    np.testing.assert_allclose(
        again.column("Points2D:positions").to_pylist()[4], uv[0, 4], atol=0.01
    )
    assert sum(batch.num_rows for batch in read[f"{camera}/image"]) == T
    assert f"/world/cameras/{NAMES[1]}/image" not in read
    assert camera in static  # its pose and lens


def frames_of(path):
    video = cv2.VideoCapture(str(path))
    assert video.isOpened()
    found = []
    while (read := video.read())[0]:
        found.append(read[1][..., ::-1])
    return np.array(found)


@pytest.mark.parametrize("has_av", [True, False])
def test_videos_are_written_with_and_without_pyav(tmp_path, monkeypatch, has_av):
    if has_av:
        pytest.importorskip("av", reason="H.264 needs PyAV")
    else:
        monkeypatch.setattr(video_file, "find_spec", lambda name: None)
    with video_file.video_file(tmp_path / "a.mp4", 12.5, (32, 24)) as add:
        for t in range(4):
            add(picture(40 * t))
    found = frames_of(tmp_path / "a.mp4").astype(int)
    assert abs(found[:, 12, 16] - [picture(40 * t)[0, 0] for t in range(4)]).max() < 30
    with pytest.raises(ValueError, match="stop"), _stopped(tmp_path / "b.mp4") as add:
        add(picture(0))
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]  # nothing half written


@contextmanager
def _stopped(path):
    """Stop a video after its first picture."""
    with video_file.video_file(path, 20, (32, 24)) as add:
        yield add
        raise ValueError("stop")


def test_a_video_shows_frames_points_and_space(recorded, tmp_path, monkeypatch):
    monkeypatch.setattr(video_file, "find_spec", lambda name: None)
    monkeypatch.setattr(video, "GRID_WIDTH", 2 * IMAGE)  # one pixel of a panel is one of the image
    monkeypatch.setattr(video, "SPACE_WIDTH", (200, 200))
    folder, _, uv = recorded
    assert export(folder, tmp_path, "--video") == 0
    assert [path.name for path in tmp_path.iterdir()] == ["points3d.mp4"]
    found = frames_of(tmp_path / "points3d.mp4").astype(int)
    assert len(found) == T
    assert found.shape[2] == 2 * IMAGE + 200
    assert abs(found[30, 30, IMAGE - 30] - picture(30)[0, 0]).max() < 30  # a recorded frame
    assert abs(found[30, 30, 2 * IMAGE - 30] - np.array(painting.GREY)).max() < 12  # none there
    x, y = np.round(uv[1, 30, 0]).astype(int)
    mark = found[30, y - 2 : y + 3, IMAGE + x - 2 : IMAGE + x + 3].reshape(-1, 3)
    assert np.abs(mark - np.array(rgb(0))).max(-1).min() < 60
    space = found[:, : 2 * IMAGE, 2 * IMAGE :]
    assert (np.abs(space[30] - space[31]).max(-1) > 60).any()  # it moves
    assert (space.min(-1) < 120).any((1, 2)).all()


@pytest.mark.parametrize("up", UP)
def test_up_is_up_in_the_view_of_space(up):
    right, down = view_axes(up)
    third = np.eye(3)["xyz".index(up[-1])] * (-1 if up.startswith("-") else 1)
    assert third @ right == pytest.approx(0)
    assert third @ down < -0.8
    assert np.cross(right, down) @ third < 0  # no mirror image: seen from above


def pictured_of(recorded, **changes):
    """What pictures show of the first recording, with dots on the points."""
    folder, made, _ = recorded
    file = read_tracks(folder / "tracks.npz")
    rows = np.arange(25)
    shown = pictured.Pictured(
        file=file,
        rows=rows,
        is_cut=False,
        xyz=made.points[rows],
        covariance=made.covariance[rows],
        measured=made.is_measured[rows],
        single=made.points[rows],
        truth=file.truth[rows] * 1000,
        bones=[(0, 1)],
        frames=Frames(str(folder / "{view}_{frame}.png"), file.camera_names),
        far=lambda frames: np.zeros((len(frames), *file.measured.shape[0:3:2]), bool),
    )
    return replace(shown, **changes)


def legend_of(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_pictures_name_every_keypoint_and_the_truth_first(recorded):
    lost = pictured_of(recorded)
    lost.xyz[:, 3] = np.nan
    names = [*lost.file.keypoint_names[:3], f"{lost.file.keypoint_names[3]} (not lifted)"]
    for draw in (picture_of_space.draw, picture_of_images.draw):
        said = legend_of(draw(lost))
        assert said[-4:] == names
        assert any("95 %" in line for line in said)
        assert "skeleton" in " ".join(said)
    assert legend_of(picture_of_space.draw(lost))[0] == "truth"
    figure = picture_of_time.draw(lost)
    assert legend_of(figure)[0] == "truth"
    assert len(figure.axes) == 9
    assert "not lifted: objects/p3" in figure.get_supxlabel()
    assert "frames 0 to 24" in figure.get_supxlabel()


def test_pictures_say_which_keypoints_they_leave_out(recorded):
    shown = pictured_of(recorded)
    many = [np.tile(x, (1, 3, *[1] * (x.ndim - 2))) for x in (shown.xyz, shown.covariance)]
    names = [f"objects/p{k}" for k in range(12)]
    measured = np.tile(shown.measured, (1, 3))
    file = replace(shown.file, keypoint_names=names)
    tripled = replace(shown, xyz=many[0], covariance=many[1], measured=measured, file=file)
    tripled = replace(tripled, single=many[0], truth=None)
    figure = picture_of_time.draw(tripled)
    drawn = {axes.get_ylabel().split("\n")[0] for axes in figure.axes[::3]}
    said = figure.get_supxlabel().replace("\n", " ")
    assert len(drawn) == 5
    assert "5 of 12 keypoints" in said
    for name in names:
        assert (name.split("/")[1] in drawn) != (name in said)


def test_no_panel_is_empty(recorded, tmp_path):
    shown = pictured_of(recorded)
    measured = shown.file.measured.copy()
    measured[2] = np.nan
    without = replace(shown, file=replace(shown.file, measured=measured))
    figure = picture_of_images.draw(without)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    assert titles == [name for v, name in enumerate(NAMES) if v != 2]
    assert NAMES[2] in figure.get_suptitle()
    assert figure.axes[0].images  # its recorded frame
    assert not figure.axes[1].images
    assert all(axes.lines and axes.patches for axes in figure.axes)
    nothing = replace(shown, xyz=np.full_like(shown.xyz, np.nan))
    assert not picture_of_time.draw(nothing).axes


def test_pictures_for_print(tmp_path):
    figure = Figure(figsize=(2, 1))
    figure.text(0.1, 0.5, "objects/p0")
    for suffix, start in (("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")):
        path = pictures.save(tmp_path / f"a.{suffix}", figure, 60)
        first = path.read_bytes()
        assert first.startswith(start)
        assert pictures.save(path, figure, 60).read_bytes() == first  # no date in it
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert ">objects/p0<" in text  # letters stay letters
    wide = cv2.imread(str(tmp_path / "a.png")).shape[1]
    assert wide == round(60 * figure.get_figwidth())
    assert pictures.chosen_pictures(None, False).dpi < 300
    chosen = pictures.chosen_pictures(["pdf,svg"], False)
    assert (chosen.names, chosen.dpi) == (["pdf", "svg"], 300)
    assert chosen.linked == ["tracks_3d.svg", "coordinates.svg", "reprojection.svg"]
    assert not pictures.chosen_pictures(None, True).linked
    with pytest.raises(ConfigError, match="--pictures tiff: allowed: png, pdf, svg"):
        pictures.chosen_pictures(["tiff"], False)


def test_showing_needs_the_tracks_that_were_lifted(recorded, tmp_path, capsys):
    pytest.importorskip("rerun", reason="recordings need rerun-sdk (.[rerun])")
    folder, made, _ = recorded
    assert export_points.main([str(folder / "points3d.npz"), "--view"]) == 2
    assert "--points2d" in capsys.readouterr().err
    with np.load(folder / "tracks.npz") as tracks:
        values = dict(tracks)
    values["keypoint_names"] = np.array(["a", *made.keypoint_names[1:]])
    np.savez_compressed(tmp_path / "other.npz", **values)
    flags = ["--points2d", str(tmp_path / "other.npz"), "--write", "csv", "--out", str(tmp_path)]
    assert export_points.main([str(folder / "points3d.npz"), *flags]) == 2
    assert "lifted from" in capsys.readouterr().err
    assert not (tmp_path / "points3d.csv").exists()
