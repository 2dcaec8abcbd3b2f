"""Whether windows can be opened here."""

import os


def has_display() -> bool:
    """Tell whether there is an X server or a Wayland compositor."""
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
