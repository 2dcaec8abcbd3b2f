"""Tracks that are triangulated again with other weights."""

import dataclasses

import pytest
import torch

from pose_obj_3d.geometry import multi_view
from pose_obj_3d.geometry.noise_parts import NoiseParts
from pose_obj_3d.lifting import weighing
from pose_obj_3d.lifting.track_files.reading import members_of
from pose_obj_3d.lifting.track_files.track_file import tracks_of
from pose_obj_3d.lifting.tracks_from_file import load_own
from pose_obj_3d.tracks import triangulating_sets
from tests.unit.pose_obj_3d.lifting.track_scenes import members


@pytest.fixture(scope="module")
def loaded():
    """Tracks whose errors are known to last, and the cameras."""
    values = members_of("tracks", dict(members(frames=30, sequences=2, outliers=0.05)))
    data = load_own(tracks_of(values, "tracks", None, []), sigma_px=[1.2])
    sigma = torch.full((4, 4), 1.2, dtype=torch.float64)
    noise = NoiseParts(0.6 * sigma, 0.8 * sigma, 0 * sigma, 8.0, 0 * sigma + 0.05, 20.0)
    return weighing.triangulated(dataclasses.replace(data.tracks, noise=noise), data.rig), data.rig


def test_what_has_changed_alone_is_triangulated_again(loaded, monkeypatch):
    tracks, rig = loaded
    weights = tracks.weights.clone()
    weights[::7, 1, 2] = 0
    weights[3, :3, 0] = 0  # one view is left
    anew = weighing.triangulated(dataclasses.replace(tracks, weights=weights), rig)
    counted = []
    weigh = triangulating_sets.weigh

    def counting(points, *rest):
        counted.append(len(points))
        return weigh(points, *rest)

    monkeypatch.setattr(triangulating_sets, "weigh", counting)
    again = weighing.with_weights(tracks, weights, rig)
    assert sum(counted) <= len(weights[::7])
    for name in ("weights", "robust", "xyz", "info", "floor"):
        expected = getattr(anew, name)
        close = 1e-3 * float(expected.abs().mean())
        torch.testing.assert_close(getattr(again, name), expected, rtol=1e-3, atol=close)


def test_what_three_views_agree_on_is_no_stray(loaded):
    """A keypoint that is elsewhere in one frame has moved, if its views say so."""
    tracks, rig = loaded
    frame, k = 12, 1
    moved = tracks.xyz[frame, k].double() + torch.tensor([0.1, 0.05, 0.1])
    uv, weights = tracks.uv.clone(), tracks.weights.clone()
    uv[frame, :, k] = multi_view.project(moved, rig.intrinsics, rig.extrinsics)[0].float()
    weights[frame, :, k] = 1.0
    changed = weighing.triangulated(dataclasses.replace(tracks, uv=uv, weights=weights), rig)
    assert float(changed.info[frame, k, 0, 0]) > 0
    assert float((changed.xyz[frame, k] - moved).norm()) < 0.01
    weights[frame, 2:, k] = 0.0  # two views may err together
    changed = weighing.triangulated(dataclasses.replace(tracks, uv=uv, weights=weights), rig)
    assert float(changed.info[frame, k, 0, 0]) == 0


def test_a_view_that_is_left_out_has_no_say(loaded):
    tracks, rig = loaded
    changed = tracks.uv.clone()
    changed[:, 2] += 50.0
    other = weighing.triangulated(dataclasses.replace(tracks, uv=changed), rig)
    blind, blind_other = (weighing.without_view(x, 2, rig) for x in (tracks, other))
    several = ((blind.weights > 0).sum(1) >= 2) & (blind.info[..., 0, 0] > 0)
    off = (blind.xyz - blind_other.xyz).norm(dim=-1)[several]
    assert float(off.median()) < 1e-6
