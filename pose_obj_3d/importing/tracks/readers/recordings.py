"""Several recordings by the same cameras, one after the other."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pose_obj_3d.common.errors import DataError
from pose_obj_3d.importing.tracks.readers.tables import MAX_VALUES
from pose_obj_3d.importing.tracks.views import Floats, Found, ViewTracks


def one_after_another(recordings: Mapping[str, Sequence[ViewTracks]]) -> Found:
    """Join recordings in time.

    A view with fewer frames than the others of its recording is missing in the rest; a view that a
    recording does not have is missing in all of it.

    Args:
        recordings: Name -> views, each named as its camera.

    Raises:
        DataError: They have too many values.
    """
    if len(recordings) == 1:
        return Found(tuple(next(iter(recordings.values()))))
    lengths = [max(v.first_frame + len(v.points) for v in own) for own in recordings.values()]
    starts = [0, *np.cumsum(lengths).tolist()]
    names = list(dict.fromkeys(v.name for own in recordings.values() for v in own))
    views = [
        _joined(
            name,
            [next((v for v in own if v.name == name), None) for own in recordings.values()],
            starts,
        )
        for name in names
    ]
    listed = ", ".join(
        f"{name or 'the first'} from frame {start}"
        for name, start in zip(recordings, starts, strict=False)
    )
    short = [
        f"{v.name} {len(v.points)} of {length} in {recording or 'the first'}"
        for (recording, own), length in zip(recordings.items(), lengths, strict=True)
        for v in own
        if v.first_frame + len(v.points) != length
    ]
    notes = [f"{len(recordings)} recordings, one after the other: {listed[:300]}"]
    if short:
        notes.append(
            f"numbers of frames differ ({', '.join(short)[:300]}): the rest is missing; if frames"
            " were lost, cut the videos to the same ones"
        )
    return Found(tuple(views), sequence_starts=tuple(starts[:-1]), notes=tuple(notes))


def _joined(name: str, parts: Sequence[ViewTracks | None], starts: Sequence[int]) -> ViewTracks:
    own = [part for part in parts if part is not None]
    keypoints = list(dict.fromkeys(k for part in own for k in part.keypoints))
    individuals = list(dict.fromkeys(i for part in own for i in part.individuals))
    shape = (starts[-1], len(individuals), len(keypoints))
    if shape[0] * shape[1] * shape[2] * 2 > MAX_VALUES:
        raise DataError(f"{own[0].source}: {starts[-1]} frames of all recordings are too many")

    def filled(values: Sequence[Floats | None], rest: tuple[int, ...]) -> Floats | None:
        if all(x is None for x in values):
            return None
        out = np.full((*shape, *rest), np.nan)
        for part, x, start in zip(parts, values, starts[:-1], strict=True):
            if part is None or x is None:
                continue
            first = start + part.first_frame
            a = [individuals.index(i) for i in part.individuals]
            k = [keypoints.index(n) for n in part.keypoints]
            out[np.ix_(range(first, first + len(x)), a, k)] = x
        return out

    points = filled([None if part is None else part.points for part in parts], (2,))
    assert points is not None
    return replace(
        own[0],
        name=name,
        points=points,
        keypoints=tuple(keypoints),
        individuals=tuple(individuals),
        confidence=filled([None if part is None else part.confidence for part in parts], ()),
        covariance=filled([None if part is None else part.covariance for part in parts], (2, 2)),
        first_frame=0,
    )
