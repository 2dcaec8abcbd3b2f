"""Convert raw data to `sim_all_formal.npz`: statistics, then tracks, then the archive.

python convert_data.py --path_dataset data/my_expe --path_dataset_config dataset_config.json
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from pose_obj_3d.common import process_start

if __name__ == "__main__":
    process_start.prepare("convert_data.py", 480)

import argparse
import hashlib
import json
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from tqdm import tqdm

from data_generation.RLBench import command_line
from data_generation.RLBench.config import (
    REPOSITORY,
    DatasetConfig,
    find_config,
    find_dataset,
    load_config,
)
from data_generation.RLBench.errors import ConfigError, DataGenerationError, StoreError
from data_generation.RLBench.raw.episode_key import seed_example
from data_generation.RLBench.raw.layout import MODES, RGB_PATTERN, STATISTICS, mode_dir
from data_generation.RLBench.raw.store import RawStore, RawTracks
from data_generation.RLBench.tracks import dataset_statistics as dataset_stats
from data_generation.RLBench.tracks import detector, error_processes, examples
from data_generation.RLBench.tracks.detector import PRESETS, RANGES, DetectorNoise
from data_generation.RLBench.tracks.examples import (
    Example,
    StoredExamples,
    first_frame,
    make_example,
)
from data_generation.RLBench.tracks.masks import mask_meta
from pose_obj_3d.common.archive.legacy import write_legacy
from pose_obj_3d.common.archive.shards import shard_names
from pose_obj_3d.common.errors import PoseObj3DError
from pose_obj_3d.common.whole_files import write_whole
from pose_obj_3d.formal import MIN_EXAMPLES, Sharding, read_formal, write_formal
from pose_obj_3d.shipped import keep_shipped
from rlbench.const import DEMO_DT

logger = logging.getLogger("convert_data")

OUTPUT = REPOSITORY / "pose_obj_3d" / "data" / "RLBench_pose_est_data" / "sim_all_formal.npz"
SETTINGS_HELP = {
    "noise_scale": "factor on the noise of the detections (default 1)",
    "occlusion_noise": "additional factor where a keypoint is hidden (default 1)",
    "outlier_rate": "share of outliers, 0 to 1 (default 0)",
    "drop_rate": "share of missing detections, 0 to 1 (default 0)",
    "noise_time_constant": "how long the noise lasts [frames] (default 0: each frame on its own)",
    "noise_persistent_share": "share of the squared noise that is constant for an example, view"
    " and keypoint (default 0)",
    "noise_per_keypoint": "standard deviation of the logarithm of the noise's size between the"
    " keypoints of a view (default 0)",
    "gross_rate": "share of points that are far off for a time, where seen (default 0)",
    "gross_rate_hidden": "the same where a keypoint is hidden (default 0)",
    "gross_scale": "median length of these errors [image widths], where seen (default 0.1)",
    "gross_scale_hidden": "the same where a keypoint is hidden (default 0.1)",
    "share_identical": "correlation of the errors of keypoints at one place (default 0)",
}


def build_parser() -> command_line.Parser:
    """Give the command's flags."""
    parser = command_line.Parser(
        prog="convert_data.py", description=__doc__.split("\n", maxsplit=1)[0]
    )
    add = parser.add_argument
    add("--path_dataset", required=True, help="folder that generate_data.py filled")
    add(
        "--path_dataset_config",
        default="dataset_config.json",
        help="dataset config whose tasks are converted (default dataset_config.json)",
    )
    add(
        "--mode",
        choices=MODES,
        default="train",
        help="uses train_task_ids or test_task_ids, and the folder of that name (default train)",
    )
    add("--output", default=str(OUTPUT), help="archive to write (default: where training reads it)")
    add(
        "--shards",
        type=command_line.at_least(1),
        default=0,
        help="write the archive in so many files, NAME-00000-of-N.npz, one example in memory at a"
        " time; the content is the same (default: one file)",
    )
    add(
        "--n_processes",
        type=command_line.at_least(1),
        default=1,
        help="write so many shards at once (default 1)",
    )
    add(
        "--legacy",
        action="store_true",
        help="also write <output>_legacy.npz in the older, pickled layout",
    )
    detector = parser.add_argument_group(
        "detector",
        "each overrides the dataset config's key of the same name (the defaults are those of the"
        " keys); one number, or one for each camera of track_cams",
    )
    add = detector.add_argument
    add(
        "--detector",
        choices=tuple(PRESETS),
        help="settings that hold unless the config or a flag sets them (default white); as_measured"
        " is like a heatmap detector",
    )
    for name, text in SETTINGS_HELP.items():
        add(f"--{name}", type=float, nargs="+", help=text)
    add("--noise_seed", type=int, help="seed of the noise (default 0)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    args = build_parser().parse_args(argv)
    command_line.log_to_stderr()
    try:
        config = load_config(find_config(args.path_dataset_config))
        noise = detector_of(config, args)
        store = RawStore(find_dataset(args.path_dataset), args.mode)
        output = Path(args.output).expanduser().absolute()
        line = convert(store, config, noise, output, args.shards, args.n_processes)
        if args.legacy:
            write_legacy(output.with_stem(f"{output.stem}_legacy"), read_formal(output).tracks)
    except (DataGenerationError, PoseObj3DError, ValueError) as error:
        return command_line.report_error("convert_data.py", error)
    except OSError as error:
        return command_line.report_error(
            "convert_data.py", StoreError(f"cannot be written: {error}")
        )
    print(line)
    return 0


def detector_of(config: DatasetConfig, args: argparse.Namespace) -> DetectorNoise:
    """Give the detector of the config, changed by the flags.

    Raises:
        ValueError: A flag is out of range.
    """
    given: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name in (*RANGES, "noise_seed")
        if (value := getattr(args, name)) is not None
    }
    return replace(config.detector_noise(args.detector), **given)


def convert(
    store: RawStore,
    config: DatasetConfig,
    noise: DetectorNoise,
    output: Path,
    shards: int = 0,
    processes: int = 1,
) -> str:
    """Write the statistics and the archive; return a line that says what was written."""
    marker = store.marker()
    raw, inputs = read_all(store, requested_tasks(store, config), is_small=shards > 0)
    first = check_one_rig(raw)
    width = first.image_size[0]
    tracks: dict[int, Sequence[Example]] = {}
    for t, episodes in raw.items():
        if shards:
            tracks[t] = StoredExamples(store, tuple(e.key for e in episodes), width, noise)
        else:
            tracks[t] = [
                make_example(e, seed_example(store.mode, n), width, noise)
                for n, e in enumerate(episodes)
            ]
    stats = dataset_stats.dataset_stats(store, raw, tracks)
    meta = _meta(store, raw, first, noise, output)
    if config.cams:
        meta.update(mask_meta(store, raw, output))
    else:
        del meta["image_pattern"]
    keep_shipped(output)
    meta["source_seeds"] = {"seed": marker["seed"], "mode": store.mode, **meta["source_seeds"]}
    rig = first.intrinsics, first.extrinsics
    sharding = Sharding(shards, processes, inputs)
    write_formal(output, tracks, meta, *rig, sharding=sharding)
    write_statistics(store, output, f"{json.dumps(stats, indent=1)}\n".encode())
    counts = ", ".join(f"T{t} {len(x)} examples" for t, x in tracks.items())
    return f"{counts}, {len(first.track_cams)} views written to {shard_names(output, shards)}"


def write_statistics(store: RawStore, output: Path, text: bytes) -> None:
    """Write the statistics into the data set, or beside the archive if that is read-only."""
    path = store.root / STATISTICS
    try:
        write_whole(path, text)
    except OSError as error:
        other = output.with_name(f"{output.stem}_{STATISTICS}")
        logger.info("%s cannot be written (%s)", path, error.strerror or error)
        path = other
        write_whole(path, text)
    logger.info("statistics written to %s", path)


def requested_tasks(store: RawStore, config: DatasetConfig) -> list[int]:
    """List the task ids to convert.

    Raises:
        ConfigError: A requested task has too few episodes.
    """
    there, wanted = store.task_ids(), config.task_ids(store.mode)
    tasks: list[int] = []
    for task in there if isinstance(wanted, str) else wanted:
        count = len(store.episodes(task)) if isinstance(task, int) else 0
        if isinstance(task, int) and count >= MIN_EXAMPLES:
            tasks.append(task)
        else:
            raise _too_few(store, config, task, count)
    if not tasks:
        raise ConfigError(
            f"{config.source}: {store.mode}_task_ids names no task that is in {store.root}"
        )
    return tasks


def _too_few(store: RawStore, config: DatasetConfig, task: int | str, count: int) -> ConfigError:
    if count:
        return ConfigError(
            f"{store.root}: task {task} has {count} {store.mode} episode(s); at least"
            f" {MIN_EXAMPLES} are needed, for training, validation and test: generate more"
            " examples"
        )
    filled = ", ".join(str(t) for t in store.task_ids() if store.episodes(t)) or "none"
    return ConfigError(
        f"{store.root}: task {task} of {config.source} has no {store.mode} episodes "
        f"(tasks with episodes: {filled}); run generate_data.py first"
    )


def read_all(
    store: RawStore, tasks: Sequence[int], is_small: bool = False
) -> tuple[dict[int, list[RawTracks]], str]:
    """Read and check every episode, in the order of the examples.

    With `is_small`, only the first frame of each is kept.

    Returns:
        Task id -> episodes, and a digest of all that examples are made from.
    """
    digest = hashlib.sha256()
    for module in (examples, detector, error_processes):  # they make examples of episodes
        digest.update(Path(str(module.__file__)).read_bytes())
    keys = [k for t in tasks for k in store.episodes(t)]
    raw: dict[int, list[RawTracks]] = {t: [] for t in tasks}
    for key in tqdm(keys, unit="episode", disable=not sys.stderr.isatty()):
        episode = store.read_tracks(key)
        digest.update(repr((key, episode.xyz.shape)).encode())
        digest.update(episode.xyz.tobytes() + episode.visibility.tobytes())
        raw[key.task_id].append(first_frame(episode) if is_small else episode)
    return raw, digest.hexdigest()


def check_one_rig(raw: Mapping[int, Sequence[RawTracks]]) -> RawTracks:
    """Check that all episodes share cameras and calibration, and return one of them."""
    first = next(iter(raw.values()))[0]
    if len(first.track_cams) < 2:
        raise StoreError(
            f"the data has {len(first.track_cams)} track camera(s) ({', '.join(first.track_cams)});"
            " 3D needs at least two: generate with more track_cams"
        )
    for episode in (e for episodes in raw.values() for e in episodes):
        is_same = (
            episode.track_cams == first.track_cams
            and episode.image_size == first.image_size
            and np.array_equal(episode.intrinsics, first.intrinsics)
            and np.array_equal(episode.extrinsics, first.extrinsics)
        )
        if not is_same:
            raise StoreError(
                f"{episode.key} was filmed by other cameras than {first.key}; one file holds one "
                "rig: convert the data sets apart"
            )
    for episodes in raw.values():
        for episode in episodes:
            if episode.keypoint_names != episodes[0].keypoint_names:
                raise StoreError(
                    f"{episode.key} has other keypoints than {episodes[0].key}; make the task anew "
                    "with --overwrite"
                )
    return first


def _meta(
    store: RawStore,
    raw: Mapping[int, Sequence[RawTracks]],
    first: RawTracks,
    noise: DetectorNoise,
    output: Path,
) -> dict[str, Any]:
    sigma = noise.sigma_px(first.image_size[0], len(first.track_cams))
    frames = mode_dir(Path(os.path.relpath(store.root, output.parent)), store.mode)
    return {
        "image_size": list(first.image_size),
        "camera_names": list(first.track_cams),
        "task_names": {f"T{t}": episodes[0].task_name for t, episodes in raw.items()},
        "keypoint_names": {
            f"T{t}": list(episodes[0].keypoint_names) for t, episodes in raw.items()
        },
        "noise": {
            "sigma_px": float(np.sqrt(np.mean(sigma**2))),
            "sigma_px_per_view": sigma.tolist(),
            **noise.stated(len(sigma)),
            "seed": noise.noise_seed,
        },
        "frame_period_s": DEMO_DT,
        "image_pattern": f"{frames}/{RGB_PATTERN}",
        "sources": {
            f"T{t}": [{"variation": e.key.variation, "example": e.key.example} for e in episodes]
            for t, episodes in raw.items()
        },
        "source_seeds": {
            f"T{t}": [[str(s) for s in e.random_seed] for e in episodes]
            for t, episodes in raw.items()
        },
    }


if __name__ == "__main__":
    sys.exit(main())
