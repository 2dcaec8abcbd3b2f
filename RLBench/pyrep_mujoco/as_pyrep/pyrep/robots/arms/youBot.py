"""The arm of a mobile robot, which is refused with its base."""  # noqa: N999 -- PyRep named it so

from pyrep.robots import mobiles  # noqa: F401
