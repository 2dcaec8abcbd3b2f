"""Scenes of ours that stand in for files which a user's copy of RLBench lacks."""
