"""The colours of keypoints and curves in figures."""

# Found by search: no two are nearer than 0.17 in OKLab, nor is one so near to black (the truth) or
# white.
COLOURS = (
    "#1b6ca8",
    "#d1495b",
    "#2e8b57",
    "#e08e00",
    "#8758ff",
    "#970000",
    "#009fff",
    "#a7008f",
    "#205000",
    "#9f8f9f",
    "#0000ff",
    "#ff00bf",
    "#48c780",
    "#dfd728",
    "#6000b7",
    "#70dfff",
    "#d787ff",
    "#503858",
    "#ffafb7",
    "#00f700",
)


def colour(k: int) -> str:
    """Return the colour of keypoint k; the first 20 are different."""
    return COLOURS[k % len(COLOURS)]
