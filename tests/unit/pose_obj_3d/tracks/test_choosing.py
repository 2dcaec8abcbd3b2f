"""Which detections the methods get, who says which are usable, and that truth has no part in it."""

import dataclasses

import numpy as np
import pytest
import torch

from pose_obj_3d.common.errors import ConfigError
from pose_obj_3d.evaluation import protocol as evaluation
from pose_obj_3d.evaluation import report
from pose_obj_3d.formal import DETECTED_UV, UV_DETECTED, VISIBILITY, Witness, read_formal
from pose_obj_3d.tracks.choosing import choose_detections
from pose_obj_3d.tracks.loading import keypoint_ids, load_tracks, make_rig, one_view
from pose_obj_3d.tracks.stated_noise import check_noise
from tests.unit.pose_obj_3d.synthetic import write_scene

GROUPS = ("waypoints", "objects", "robot")
DETECTED = Witness("detected", "detector")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "a.npz"
    return read_formal(write_scene(path, (0, 9), detected=True))


def load(data, witness=DETECTED, split="train", tasks=(0, 9), occlusion="keep", with_truth=True):
    chosen = choose_detections(data, witness, tasks, occlusion)
    ids = keypoint_ids(chosen, tasks, GROUPS)
    chosen, _ = check_noise(chosen, tasks, ids)
    return load_tracks(chosen, make_rig(chosen), tasks, split, ids, occlusion, with_truth)


def joined(data, members, task=0, split="train"):
    return torch.from_numpy(
        np.concatenate([members[task][n] for n in data.split(task)[split]], 1)
    ).transpose(0, 1)


@pytest.mark.parametrize("witness", [DETECTED, Witness()])
def test_a_line_says_that_claims_are_believed(tmp_path, witness):
    path = write_scene(tmp_path / "few.npz", examples=3, frames=10, detected=True)
    chosen = choose_detections(read_formal(path), witness, [0])
    found, line = check_noise(chosen, [0], keypoint_ids(chosen, [0], GROUPS))
    assert found is chosen
    is_told = "too few to show their noise" in line and "the median claim is believed" in line
    assert is_told is (witness == DETECTED)


def test_as_it_was_unless_something_else_is_chosen(data):
    assert choose_detections(data, Witness(), [0]) is data
    tracks = load(data, Witness())
    assert tracks.claims is None
    assert tracks.p_seen is None
    assert tracks.precision is not None


def test_the_detector_says_where_and_what_is_usable(data):
    tracks, says = load(data, tasks=(0,)), joined(data, data.detections)
    assert torch.equal(tracks.uv, says[..., DETECTED_UV])
    inside, seen = says[..., 5] >= 0.5, says[..., 6] >= 0.5
    assert torch.equal(tracks.weights > 0, inside)
    strict = load(data, tasks=(0,), occlusion="drop")
    assert torch.equal(strict.weights > 0, inside & seen)
    assert torch.equal(tracks.p_seen, says[..., 6] * inside)
    sd_u, sd_v, rho = says[..., 2], says[..., 3], says[..., 4]
    torch.testing.assert_close(tracks.claims[..., 0, 0], sd_u**2)
    torch.testing.assert_close(tracks.claims[..., 1, 1], sd_v**2)
    torch.testing.assert_close(tracks.claims[..., 0, 1], rho * sd_u * sd_v)
    torch.testing.assert_close(tracks.claims[..., 1, 0], rho * sd_u * sd_v)


def test_true_visibility_with_detected_positions(data):
    tracks = load(data, Witness("detected", "truth"), tasks=(0,))
    x = joined(data, data.tracks)
    assert torch.equal(tracks.uv, joined(data, data.detections)[..., DETECTED_UV])
    assert torch.equal(tracks.weights > 0, x[..., VISIBILITY] > 0)


def test_simulated_detections_without_the_truth_of_them(data):
    tracks = load(data, Witness("simulated", "detector"), tasks=(0,))
    uv = joined(data, data.tracks)[..., UV_DETECTED]
    width, height = data.image_size
    inside = ((uv >= 0) & (uv < torch.tensor([width, height]))).all(-1)
    assert torch.equal(tracks.weights > 0, inside)
    assert tracks.claims is None


def test_what_is_not_detected_or_not_claimed(data):
    says = data.detections[0][0].copy()
    says[1, 5, 2, :2] = np.nan
    says[0, 6, 1, 2:5] = np.nan
    changed = dataclasses.replace(
        data, detections={**data.detections, 0: [says, *data.detections[0][1:]]}
    )
    tracks = load(changed, tasks=(0,))
    assert tracks.weights[5, 1, 2] == tracks.p_seen[5, 1, 2] == 0
    assert tracks.uv.isfinite().all()
    assert tracks.xyz.isfinite().all()
    assert tracks.claims[6, 0, 1].isnan().all()
    assert tracks.claims[6, 1, 1].isfinite().all()
    silent = {t: [x.copy() for x in xs] for t, xs in data.detections.items()}
    for x in silent[0]:
        x[..., 2:5] = np.nan
    without = load(dataclasses.replace(data, detections=silent), tasks=(0,))
    assert without.claims is None
    assert without.xyz.isfinite().all()


def test_one_view_and_other_devices_keep_the_claims(data):
    tracks = load(data, tasks=(0,))
    single = one_view(tracks, 2).to(torch.device("cpu"))
    assert torch.equal(single.claims[:, 0], tracks.claims[:, 2])
    assert torch.equal(single.p_seen[:, 0], tracks.p_seen[:, 2])
    assert single.precision is None


def test_the_noise_is_what_the_detector_claims(data):
    tracks = choose_detections(data, DETECTED, [0])
    claims = np.concatenate(
        [
            x[v][..., 2:4][x[v][..., 5] >= 0.5]
            for v in range(4)
            for x in [data.detections[0][n] for n in data.split(0)["train"]]
        ]
    )
    expected = np.sqrt(np.median(np.square(claims).mean(-1)))
    assert tracks.sigma_px == pytest.approx(expected, rel=0.1)
    assert set(tracks.meta["noise"]) == {"sigma_px", "sigma_px_per_view"}


def test_truth_and_simulation_change_nothing(data):
    """What an unsupervised training gets is the same when all that it must not see is scrambled."""
    rng = np.random.default_rng(0)

    def scrambled(x):
        y = rng.uniform(-500, 500, x.shape).astype(np.float32)
        y[..., VISIBILITY] = rng.choice([0, 0.5, 1], x.shape[:-1])
        return y

    other = dataclasses.replace(
        data, tracks={t: [scrambled(x) for x in xs] for t, xs in data.tracks.items()}
    )
    for split in ("train", "val"):
        a, b = (load(d, split=split, with_truth=False) for d in (data, other))
        assert a.truth is None
        for field in dataclasses.fields(a):
            left, right = getattr(a, field.name), getattr(b, field.name)
            if isinstance(left, torch.Tensor):
                torch.testing.assert_close(left, right, rtol=0, atol=0, equal_nan=True)
            elif dataclasses.is_dataclass(left):  # what was found of the noise
                torch.testing.assert_close(*map(dataclasses.asdict, (left, right)), rtol=0, atol=0)
            else:
                assert left == right


def test_an_archive_without_detections(data):
    plain = dataclasses.replace(data, detections={9: data.detections[9]})
    with pytest.raises(ConfigError, match=r"T0 has no detections.*pose_obj_3d\.detect") as found:
        choose_detections(plain, DETECTED, [0, 9])
    assert "\n" not in str(found.value)
    choose_detections(plain, DETECTED, [9])
    with pytest.raises(ConfigError, match="OCCLUSION drop needs to know what is hidden"):
        choose_detections(data, Witness("simulated", "detector"), [0], "drop")


def test_columns_are_the_detectors_and_one_has_every_point(data):
    chosen = choose_detections(data, DETECTED, [0])
    ids = keypoint_ids(chosen, [0], GROUPS)
    rig = make_rig(chosen)
    tracks = load_tracks(chosen, rig, [0], "test", ids)
    few = tracks.weights.clone()
    few[:, 1:, 0] = 0  # the detector says that no other view has this keypoint
    tracks = dataclasses.replace(tracks, weights=few)
    protocol = evaluation.Protocol(7)
    methods = {"triangulated": tracks.xyz}
    result = evaluation.evaluate(methods, tracks, rig, protocol, ids)
    counts = result["counts"]
    assert counts["fewer than two views"] >= len(tracks)
    assert counts["all"] + counts["fewer than two views"] == counts[evaluation.EVERY]
    assert list(result["methods"]) == ["triangulated"]
    assert "no Cramer-Rao bounds" in result["notes"][0]
    text = report.markdown({"Test": result})
    assert "No Cramer-Rao bounds: they need the true noise" in text
    assert evaluation.EVERY in report.text_table(result, "Test")


def test_a_task_with_fewer_keypoints(data):
    """What a task does not have is not claimed, not seen and not used."""
    names = {**data.meta["keypoint_names"], "T9": data.keypoint_names(9)[:2]}
    fewer = dataclasses.replace(
        data,
        meta={**data.meta, "keypoint_names": names},
        tracks={**data.tracks, 9: [x[:, :, :2] for x in data.tracks[9]]},
        detections={**data.detections, 9: [x[:, :, :2] for x in data.detections[9]]},
    )
    tracks = load(fewer)
    absent = (tracks.keypoint < 0)[:, None].expand_as(tracks.weights)
    assert absent.any()
    assert tracks.claims[absent].isnan().all()
    assert tracks.claims[~absent].isfinite().all()
    for values in (tracks.weights, tracks.robust, tracks.p_seen):
        assert (values[absent] == 0).all()
        assert values.isfinite().all()
    assert tracks.xyz.isfinite().all()
    assert tracks.info.isfinite().all()
