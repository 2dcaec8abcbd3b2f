"""Mobile robots, which are refused: no wheel is simulated here."""

raise ImportError(
    "pyrep.robots.mobiles: mobile robots are not supported on MuJoCo; arms, grippers and suction "
    "cups are, in pyrep.robots.arms and pyrep.robots.end_effectors"
)
