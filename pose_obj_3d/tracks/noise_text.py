"""What was found of the noise, in words."""

from collections.abc import Mapping, Sequence

from pose_obj_3d.geometry.noise_parts import NoiseParts


def describe(parts: NoiseParts, camera_names: Sequence[str], weighed_by_claims: float = 0.0) -> str:
    """Say in one line how large errors are, how long they last, and how many are gross.

    `weighed_by_claims` as in `noise_of_tracks.noise_parts`.
    """
    of_views = parts.sigma.square().mean(1).sqrt().tolist()
    listed = ", ".join(f"{n} {s:.2f}" for n, s in zip(camera_names, of_views, strict=True))
    lowest, highest = float(parts.sigma.min()), float(parts.sigma.max())
    white, slow, offset = (round(100 * share) for share in parts.shares)
    lasting = (
        "errors of neighbouring frames are independent"
        if parts.is_white
        else f"of the square error {white} % is independent in each frame, {slow} % lasts for"
        f" {parts.time_constant:.1f} frames, {offset} % is constant"
    )
    gross = f"{100 * float(parts.gross_rate.mean()):.0f} % are gross errors"
    return (
        f"noise in px: {listed} (keypoints {lowest:.2f} to {highest:.2f}); {lasting}; {gross} of"
        f" {parts.gross_scale:.0f} px{_claims(parts, weighed_by_claims)}"
    )


def _claims(parts: NoiseParts, weighed: float) -> str:
    if parts.claims is None:
        return ""
    power = parts.claims.exponent + weighed
    claimed = f"; {float(parts.claims.usual_px.median()):.2f} px are claimed in the median"
    if power == 0:
        return f"{claimed}, but claims say nothing of the errors' size"
    return f"{claimed}, and errors grow as the claimed ones to the power of {power:g}"


def by_keypoint(
    parts: NoiseParts, camera_names: Sequence[str], names: Mapping[int, str]
) -> list[str]:
    """List the noise in each view, and the share of gross errors; names: column -> keypoint."""
    return [
        f"noise of {name} [px] (gross [%]): "
        + ", ".join(
            f"{camera} {float(parts.sigma[v, k]):.2f} ({100 * float(parts.gross_rate[v, k]):.0f})"
            for v, camera in enumerate(camera_names)
        )
        for k, name in names.items()
    ]
