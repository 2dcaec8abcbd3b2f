"""First values: each camera by itself, then where cameras are that see the board together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import cv2
import numpy as np
import numpy.typing as npt

from pose_obj_3d.calibrate import cameras as lenses
from pose_obj_3d.calibrate.adjustment import Scene, adjust, free_parameters
from pose_obj_3d.calibrate.boards import CHESSBOARD, Board
from pose_obj_3d.calibrate.cameras import Cameras
from pose_obj_3d.calibrate.sightings import Sighting, View
from pose_obj_3d.common.errors import DataError
from pose_obj_3d.geometry.adjusting.rotations import angle_between, nearest_rotation
from pose_obj_3d.geometry.lenses import FISHEYE, PINHOLE, inverted

Floats = npt.NDArray[np.float64]
_FOR_START = 25  # sightings for OpenCV's calibration; the adjustment uses all
_FOCALS = (0.3, 0.45, 0.65, 0.9, 1.3, 2.0, 3.0)  # tried, as shares of the picture's width
_MAX_TURN, _MAX_SHIFT = np.deg2rad(6.0), 0.12  # between frames that agree; of the distance
_LEAST_AGREEING, _LEAST_SHARE = 3, 0.3
Pose = tuple[Floats, Floats]
"""A rotation (3, 3) and a translation (3,) [m]."""


@dataclass(frozen=True)
class Link:
    """Where a camera is, seen from another one.

    Attributes:
        pose: Maps points of camera b to camera a.
        agreeing: Number of frames that agree on it.
        common: Number of frames in which both see the board.
    """

    pose: Pose
    agreeing: int
    common: int


def times(a: Pose, b: Pose) -> Pose:
    """Do b, then a."""
    return a[0] @ b[0], a[0] @ b[1] + a[1]


def inverse(a: Pose) -> Pose:
    """Undo a."""
    return a[0].T, -a[0].T @ a[1]


def alone(view: View, board: Board, kind: str) -> Cameras:
    """Calibrate one camera by itself, at the origin.

    Raises:
        DataError: No lens explains what it sees.
    """
    starts = [_opencv(view, board)] if kind == PINHOLE else []
    if not starts or starts[0] is None:
        width, height = view.size
        centre = np.array([(width - 1) / 2, (height - 1) / 2])
        starts = [
            lenses.lens_of(
                np.array([[share * width, 0, centre[0]], [0, share * width, centre[1]], [0, 0, 1]]),
                np.zeros(0),
            )
            for share in _FOCALS
        ]
    tried = []
    some = _spread(view.sightings)
    for lens in starts:
        assert lens is not None
        camera = _camera(view, lens, kind)
        poses = [pose_of(s, camera, board) for s in some]
        errors = [_error(s, pose, camera, board) for s, pose in zip(some, poses, strict=True)]
        tried.append((float(np.median(errors)), camera))
    _, camera = min(tried, key=lambda pair: pair[0])
    return _adjusted(view, camera, board)


def _camera(view: View, lens: Floats, kind: str) -> Cameras:
    size = np.array([view.size], np.float64)
    return Cameras(np.eye(3)[None], np.zeros((1, 3)), lens[None], (kind,), (view.name,), size)


def _spread(sightings: Sequence[Sighting]) -> list[Sighting]:
    places = np.linspace(0, len(sightings) - 1, min(_FOR_START, len(sightings))).round()
    return [sightings[int(i)] for i in places]


def _opencv(view: View, board: Board) -> Floats | None:
    """Calibrate a pinhole camera by OpenCV; None where it finds nothing that can be."""
    some = _spread(view.sightings)
    objects = [board.corners[s.numbers].astype(np.float32) for s in some]
    pictures = [s.uv.astype(np.float32) for s in some]
    try:
        found = cv2.calibrateCamera(
            objects, pictures, view.size, np.eye(3), np.zeros(5), flags=cv2.CALIB_FIX_K3
        )
    except cv2.error:
        return None
    K, distortion = np.asarray(found[1], np.float64), np.asarray(found[2], np.float64).ravel()
    share = K[[0, 1], [0, 1]] / view.size[0]
    is_possible = (share > 0.1).all() and (share < 20).all() and (np.abs(distortion) < 20).all()
    return lenses.lens_of(K, distortion[:5]) if is_possible else None


def _adjusted(view: View, camera: Cameras, board: Board) -> Cameras:
    poses = [pose_of(s, camera, board) for s in view.sightings]
    scene = Scene(
        camera,
        tuple(view.frames),
        np.stack([pose[0] for pose in poses]),
        np.stack([pose[1] for pose in poses]),
    )
    free = free_parameters(camera, first_is_fixed=True)
    solution, _ = adjust(scene, [view], board, free)
    found: Cameras = solution.state.cameras
    focal = np.exp(found.lens[0, 0]) / view.size[0]
    if not (0.05 < focal < 50):
        raise DataError(
            f"camera {view.name}: no lens explains what it sees (focal length {focal:.3g} widths of"
            " the picture); show the board larger and at other tilts, or try --lens fisheye"
        )
    return found


def pose_of(sighting: Sighting, camera: Cameras, board: Board) -> Pose:
    """Return the board's pose in the frame of a single camera."""
    K, kind = camera.intrinsics[0], camera.kinds[0]
    ideal = inverted(sighting.uv, K, camera.distortion[0], kind)
    seen = np.isfinite(ideal).all(-1)
    corners, rays = (
        board.corners[sighting.numbers][seen],
        (ideal[seen] - K[:2, 2]) / K[[0, 1], [0, 1]],
    )
    far = np.eye(3), np.array([0.0, 0.0, 20 * board.square_m])
    if len(rays) < 4:
        return far
    try:
        count, turns, shifts, _ = cv2.solvePnPGeneric(
            corners, rays.astype(np.float64), np.eye(3), None, flags=cv2.SOLVEPNP_IPPE
        )
    except cv2.error:
        return far
    if not count or not np.isfinite(turns[0]).all():
        return far
    turn, shift = cv2.solvePnPRefineLM(corners, rays, np.eye(3), None, turns[0], shifts[0])
    return np.asarray(cv2.Rodrigues(turn)[0], np.float64), np.asarray(shift, np.float64).ravel()


def _error(sighting: Sighting, pose: Pose, camera: Cameras, board: Board) -> float:
    points = board.corners[sighting.numbers] @ pose[0].T + pose[1]
    if (points[:, 2] <= 0).any():
        return 1e6
    off = lenses.project(points, camera.lens[0], camera.kinds[0]) - sighting.uv
    return float(np.sqrt((off**2).sum(-1).mean()))


def together(
    views: Sequence[View], singles: Sequence[Cameras], board: Board
) -> tuple[Scene, list[View]]:
    """Place all cameras in the frame of the first, and the board in every frame.

    Returns:
        The scene, and the views with the corners of all cameras in one order.

    Raises:
        DataError: A camera shares no frame with the others, or does not agree with them.
    """
    poses = [_poses(view, camera, board) for view, camera in zip(views, singles, strict=True)]
    links = {
        (a, b): link
        for a, b in combinations(range(len(views)), 2)
        if (link := _link(poses[a], poses[b])) is not None
    }
    placed: dict[int, Pose] = {0: (np.eye(3), np.zeros(3))}
    boards: dict[int, Pose] = {}
    order = {0: _in_one_order(views[0], poses[0], placed[0], boards, board)}
    while len(placed) < len(views):
        joins = [
            (link.agreeing, a if a in placed else b, b if a in placed else a, link)
            for (a, b), link in links.items()
            if (a in placed) != (b in placed) and _is_sound(link)
        ]
        if not joins:
            raise DataError(_apart(views, set(placed), links, singles, board))
        _, known, new, link = max(joins, key=lambda join: join[0])
        # X_a = pose X_b: from the known camera to the new one.
        step = inverse(link.pose) if known < new else link.pose
        placed[new] = times(step, placed[known])
        order[new] = _in_one_order(views[new], poses[new], placed[new], boards, board)
    cameras = Cameras(
        np.stack([placed[v][0] for v in range(len(views))]),
        np.stack([placed[v][1] for v in range(len(views))]),
        np.concatenate([single.lens for single in singles]),
        tuple(single.kinds[0] for single in singles),
        tuple(view.name for view in views),
        np.array([view.size for view in views], np.float64),
    )
    frames = tuple(sorted(boards))
    scene = Scene(
        cameras,
        frames,
        np.stack([boards[f][0] for f in frames]),
        np.stack([boards[f][1] for f in frames]),
    )
    return scene, [order[v] for v in range(len(views))]


def _poses(view: View, camera: Cameras, board: Board) -> dict[int, list[Pose]]:
    """Return the board's poses in each frame, one for each order that its corners may have."""
    found = {}
    for sighting in view.sightings:
        is_whole = len(sighting.numbers) == len(board.corners)
        turns = board.turns if is_whole else board.turns[:1]
        found[sighting.frame] = [
            pose_of(
                replace(sighting, uv=sighting.uv[turn]) if is_whole else sighting, camera, board
            )
            for turn in turns
        ]
    return found


def _link(a: dict[int, list[Pose]], b: dict[int, list[Pose]]) -> Link | None:
    """Find the pose of camera b on which most frames agree; None without a common frame."""
    common = sorted(set(a) & set(b))
    if not common:
        return None
    candidates = [(f, times(a[f][0], inverse(pose))) for f in common for pose in b[f]]
    frame = np.array([f for f, _ in candidates])
    R = np.stack([pose[0] for _, pose in candidates])
    t = np.stack([pose[1] for _, pose in candidates])
    distance = np.median([np.linalg.norm(a[f][0][1]) for f in common])
    near = (angle_between(R[:, None], R[None]) < _MAX_TURN) & (
        np.linalg.norm(t[:, None] - t[None], axis=-1) < _MAX_SHIFT * distance
    )
    # A frame counts once, whatever the number of its candidates that agree.
    support = np.array([len(set(frame[row])) for row in near])
    best = near[support.argmax()]
    pose = nearest_rotation(R[best].mean(0)), np.median(t[best], 0)
    return Link(pose, int(support.max()), len(common))


def _is_sound(link: Link) -> bool:
    return link.agreeing >= min(_LEAST_AGREEING, link.common) and (
        link.agreeing >= _LEAST_SHARE * link.common
    )


def _in_one_order(
    view: View,
    poses: dict[int, list[Pose]],
    camera: Pose,
    boards: dict[int, Pose],
    board: Board,
) -> View:
    """Order the corners as in the cameras before, and note the board's poses of new frames."""
    sightings = []
    for sighting in view.sightings:
        own = [times(inverse(camera), pose) for pose in poses[sighting.frame]]
        chosen = 0
        if sighting.frame in boards:
            known = boards[sighting.frame][0]
            chosen = int(np.argmin([angle_between(pose[0], known) for pose in own]))
        else:
            boards[sighting.frame] = own[0]
        turned = replace(sighting, uv=sighting.uv[board.turns[chosen]]) if chosen else sighting
        sightings.append(turned)
    return replace(view, sightings=tuple(sightings))


def _apart(
    views: Sequence[View],
    placed: set[int],
    links: dict[tuple[int, int], Link],
    singles: Sequence[Cameras],
    board: Board,
) -> str:
    """Say why cameras cannot be placed beside the others."""
    names = [view.name for view in views]
    left = [v for v in range(len(views)) if v not in placed]
    across = {
        pair: link for pair, link in links.items() if (pair[0] in placed) != (pair[1] in placed)
    }
    known = ", ".join(names[v] for v in sorted(placed))
    if not across:
        return (
            f"camera {', '.join(names[v] for v in left)} never sees the board in the same frame as"
            f" {known}; show the board where both see it, or calibrate them separately"
        )
    (a, b), link = max(across.items(), key=lambda item: item[1].common)
    line = (
        f"cameras {names[a]} and {names[b]} see the board in {link.common} common frames, but only"
        f" {link.agreeing} of these agree on where the cameras are"
    )
    if board.kind == CHESSBOARD and _agree_mirrored(
        views[a], views[b], singles[a], singles[b], board
    ):
        return f"{line}; with one of them mirrored they agree: undo the mirroring of its pictures"
    return (
        f"{line}; the frames are not simultaneous, the lens model does not fit (--lens), or they"
        " see different boards"
    )


def _agree_mirrored(a: View, b: View, camera_a: Cameras, camera_b: Cameras, board: Board) -> bool:
    """Tell whether two cameras agree when the pictures of the second are mirrored."""
    across, down = board.size
    order = np.arange(across * down).reshape(down, across)[:, ::-1].ravel()
    width = b.size[0]
    mirrored = replace(
        b,
        sightings=tuple(
            replace(s, uv=np.stack([width - 1 - s.uv[order, 0], s.uv[order, 1]], -1))
            for s in b.sightings
            if len(s.uv) == len(order)
        ),
    )
    lens = camera_b.lens.copy()
    lens[:, 2] = width - 1 - lens[:, 2]
    if camera_b.kinds[0] != FISHEYE:
        lens[:, 7] *= -1  # p2 acts across
    other = replace(camera_b, lens=lens)
    link = _link(_poses(a, camera_a, board), _poses(mirrored, other, board))
    return link is not None and _is_sound(link) and link.agreeing > 0.6 * link.common
