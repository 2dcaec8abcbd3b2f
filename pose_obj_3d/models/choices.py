"""The choices that models offer, by name; no torch, so that a config can be checked without it."""

CONTEXTS = ("window", "track")
"""What STC looks at: a window of frames, or the whole example."""
CONFIDENCE_METHODS = ("modulate", "concat", "no")
"""How the weights of the detections enter the embedding of MHT."""
ESTIMATORS = ("dlt", "ml", "huber", "consensus", "mean", "savitzky_golay", "rts", "map")
"""Estimators of the model `triangulation`: of single frames, of the window (`mean` to `rts`), and
`map` of whole examples."""
BLIND_SPOTS = ("auto", "frame", "view")
