"""Write `tool_files.tar.xz`: small files by the writers of the tools themselves.

    pip install pandas tables sleap-io aniposelib
    python tests/unit/pose_obj_3d/importing/tracks/make_files.py

pandas' `to_csv` and `to_hdf` are what DeepLabCut, Lightning Pose and anipose write with; sleap-io
writes SLEAP's files; aniposelib writes calibrations. Three cameras see three keypoints of one
animal in one recording; `two_animals` has two animals.
"""

import tarfile
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import sleap_io
import toml
from aniposelib.cameras import Camera, CameraGroup

PACKED = Path(__file__).with_name("tool_files.tar.xz")
CAMERAS, KEYPOINTS, ANIMALS = ("left", "mid", "right"), ("nose", "back", "tail"), ("ada", "bob")
FRAMES, SIZE = 40, (640, 480)
DLC = "DLC_Resnet50_mouseJul1shuffle1_snapshot_200"


def cameras():
    """Look at the origin from 1 m."""
    found = []
    for number, name in enumerate(CAMERAS):
        turn = (number - 1) * 0.6
        found.append(
            Camera(
                matrix=[[600.0, 0, 320], [0, 600, 240], [0, 0, 1]],
                dist=[-0.1, 0.01, 0, 0, 0],
                size=SIZE,
                rvec=[0.1, turn, 0.02],
                tvec=[0.01, -0.02, 1.0],
                name=name,
            )
        )
    return CameraGroup(found)


def scene(group, rng):
    """Return truth (T, A, K, 3) [m], points (V, T, A, K, 2) [px], confidence (V, T, A, K)."""
    T, A, K = FRAMES, len(ANIMALS), len(KEYPOINTS)
    steps = rng.normal(0, 0.004, (T, A, 1, 3)).cumsum(0)
    truth = rng.uniform(-0.08, 0.08, (1, A, K, 3)) + steps
    points = group.project(truth.reshape(-1, 3)).reshape(len(CAMERAS), T, A, K, 2)
    points = points + rng.normal(0, 0.3, points.shape)
    confidence = rng.uniform(0.6, 1, points.shape[:-1])
    missing = rng.uniform(size=confidence.shape) < 0.05
    points[missing], confidence[missing] = np.nan, np.nan
    return truth, points, confidence


def frame(scorer, points, confidence, individuals=None):
    """Return a table of pandas: points (T, A, K, 2), confidence (T, A, K)."""
    levels = [[scorer], *([list(individuals)] if individuals else []), list(KEYPOINTS)]
    names = ["scorer", *(["individuals"] if individuals else []), "bodyparts", "coords"]
    columns = pd.MultiIndex.from_product([*levels, ["x", "y", "likelihood"]], names=names)
    values = np.concatenate([points, confidence[..., None]], -1)
    return pd.DataFrame(values.reshape(len(values), -1), columns=columns)


def write_tables(folder, points, confidence):
    """DeepLabCut: csv, h5 of both formats of pandas, one and two animals; Lightning Pose."""
    for name in ("dlc_csv", "dlc_h5", "dlc_fixed", "two_animals", "lightning_pose", "eks"):
        (folder / name).mkdir()
    for view, p, c in zip(CAMERAS, points, confidence, strict=True):
        one = frame(DLC, p[:, :1], c[:, :1])
        one.to_csv(folder / "dlc_csv" / f"{view}{DLC}.csv")
        key = {"key": "df_with_missing", "mode": "w"}
        one.to_hdf(folder / "dlc_h5" / f"{view}{DLC}.h5", format="table", **key)
        one.to_hdf(folder / "dlc_fixed" / f"{view}{DLC}.h5", **key)
        two = frame(DLC, p, c, ANIMALS)
        two.to_csv(folder / "two_animals" / f"{view}{DLC}_el.csv")
        two.to_hdf(folder / "two_animals" / f"{view}{DLC}_el.h5", format="table", **key)
        frame("heatmap_tracker", p[:, :1], c[:, :1]).to_csv(
            folder / "lightning_pose" / f"session1_{view}.csv"
        )
        write_eks(folder / "eks" / f"session1_{view}.csv", p[:, 0], c[:, 0])


def write_eks(path, points, confidence):
    """The ensemble Kalman smoother's columns; the variances are 0.5 and 2 px^2."""
    coords = ["x", "y", "likelihood", "x_ens_median", "y_ens_median", "x_ens_var", "y_ens_var"]
    coords += ["x_posterior_var", "y_posterior_var"]
    columns = pd.MultiIndex.from_product(
        [["ensemble-kalman_tracker"], list(KEYPOINTS), coords],
        names=["scorer", "bodyparts", "coords"],
    )
    values = np.ones((*confidence.shape, len(coords)))
    values[..., :2], values[..., 2], values[..., 7:] = points, confidence, (0.5, 2.0)
    pd.DataFrame(values.reshape(len(values), -1), columns=columns).to_csv(path)


def labels_of(view, points, confidence, tracks):
    """Return sleap-io's labels of one video: points (T, A, K, 2)."""
    skeleton = sleap_io.Skeleton(list(KEYPOINTS))
    video = sleap_io.Video(filename=f"session1_{view}.mp4", open_backend=False)
    tracks = [sleap_io.Track(name) for name in tracks]
    frames = []
    for number, (own, score) in enumerate(zip(points, confidence, strict=True)):
        instances = [
            sleap_io.PredictedInstance.from_numpy(
                own[a], skeleton=skeleton, point_scores=score[a], score=1.0, track=track
            )
            for a, track in enumerate(tracks)
        ]
        frames.append(sleap_io.LabeledFrame(video=video, frame_idx=number, instances=instances))
    return sleap_io.Labels(frames, videos=[video], skeletons=[skeleton], tracks=tracks)


def write_sleap(folder, points, confidence):
    """Labels and analysis files, the latter in both orders of axes."""
    for name in ("slp", "slp_two", "analysis", "analysis_standard"):
        (folder / name).mkdir()
    for view, p, c in zip(CAMERAS, points, confidence, strict=True):
        one = labels_of(view, p[:, :1], c[:, :1], ANIMALS[:1])
        one.save(str(folder / "slp" / f"session1_{view}.predictions.slp"), embed=False)
        name = f"session1_{view}.analysis.h5"
        sleap_io.save_analysis_h5(one, str(folder / "analysis" / name))
        sleap_io.save_analysis_h5(one, str(folder / "analysis_standard" / name), preset="standard")
        two = labels_of(view, p, c, ANIMALS)
        two.save(str(folder / "slp_two" / f"session1_{view}.predictions.slp"), embed=False)


def write_anipose(folder, group, points, confidence):
    """A project of one session with two recordings, the second the first's first half."""
    session = folder / "anipose" / "mouse1"
    (session / "calibration").mkdir(parents=True)
    (session / "pose-2d").mkdir()
    group.dump(str(session / "calibration" / "calibration.toml"))
    config = {"project": "mouse", "nesting": 1, "triangulation": {"cam_regex": "_cam-([a-z]+)$"}}
    (folder / "anipose" / "config.toml").write_text(toml.dumps(config))
    for view, p, c in zip(CAMERAS, points, confidence, strict=True):
        for recording, length in (("run1", FRAMES), ("run2", FRAMES // 2)):
            frame(DLC, p[:length, :1], c[:length, :1]).to_hdf(
                session / "pose-2d" / f"{recording}_cam-{view}.h5",
                key="df_with_missing",
                format="table",
                mode="w",
            )


def main():
    """Write all, then pack."""
    group = cameras()
    truth, points, confidence = scene(group, np.random.default_rng(0))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        np.savez(folder / "truth.npz", truth=truth, points=points, confidence=confidence)
        group.dump(str(folder / "calibration.toml"))
        write_tables(folder, points, confidence)
        write_sleap(folder, points, confidence)
        write_anipose(folder, group, points, confidence)
        with tarfile.open(PACKED, "w:xz", preset=9) as archive:
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    entry = tarfile.TarInfo(str(path.relative_to(folder)))
                    entry.size = path.stat().st_size
                    with path.open("rb") as file:
                        archive.addfile(entry, file)


if __name__ == "__main__":
    main()
