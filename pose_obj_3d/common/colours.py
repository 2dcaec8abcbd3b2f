"""The colours and shapes of keypoints and curves in figures."""

# Found by search, with distances in OKLab. No two are nearer than 0.15, nor is one so near to black
# (the truth) or white. To the colour blind of each kind (matrices of Machado et al., 2009) the
# first twelve are 0.087 apart, and all 0.056; the first few lie farthest apart.
COLOURS = (
    "#223322",
    "#bbbb22",
    "#007788",
    "#4499ff",
    "#aa3300",
    "#ee5500",
    "#998877",
    "#cc44bb",
    "#ee99cc",
    "#772255",
    "#332299",
    "#5500ff",
    "#33ee22",
    "#229922",
    "#8800bb",
    "#001155",
    "#88ccff",
    "#116600",
    "#220011",
    "#22ffcc",
)
MARKERS = ("o", "s", "^", "D", "v", "P")
"""Matplotlib's markers: the first twelve keypoints have the first one, the next twelve the next."""
_EASY = 12  # colours that the colour blind tell apart


def colour(k: int) -> str:
    """Return the colour of keypoint k; the first 20 are different."""
    return COLOURS[k % len(COLOURS)]


def marker(k: int) -> str:
    """Return the marker of keypoint k: with the colour, it tells the first 60 apart."""
    return MARKERS[k // _EASY % len(MARKERS)]


def rgb(k: int) -> tuple[int, int, int]:
    """Return the colour of keypoint k as red, green, blue of 0 to 255."""
    code = colour(k)
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
