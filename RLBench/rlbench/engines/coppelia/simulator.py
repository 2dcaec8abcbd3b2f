"""The engine on CoppeliaSim, put together: a process, a scene in it, and the robot."""

from rlbench.engines.coppelia.engine import CoppeliaEngine
from rlbench.engines.coppelia.gripper import CoppeliaGripper
from rlbench.engines.coppelia.objects import wrapped
from rlbench.engines.coppelia.process import CoppeliaProcess
from rlbench.engines.coppelia.scene_graph import SceneGraph
from rlbench.engines.coppelia.servo import CoppeliaServoArm
from rlbench.engines.protocols import Engine, Robot, ServoArm


class CoppeliaSimulator:
    """One running CoppeliaSim; holds one task's scene at a time.

    Attributes:
        version: of CoppeliaSim and PyRep.
    """

    def __init__(self, headless: bool = True) -> None:
        """Start CoppeliaSim; `headless` opens no window (an X server is needed all the same).

        Raises:
            EngineError: something is missing, or this process has a simulator already.
        """
        self._process = CoppeliaProcess(headless)
        self.version = self._process.version

    def load(self, task: str) -> tuple[Engine, Robot]:
        """Load a task's model into the workspace; one loaded before is removed.

        Raises:
            SceneError: there is no model of that name.
        """
        process = self._process
        label = process.load(task)
        graph = SceneGraph(process.api, process.pyrep, label, process.arm, wrapped)
        engine = CoppeliaEngine(process, graph, task)
        tip = engine.dummy(engine.robot.tip)
        arm: ServoArm = CoppeliaServoArm(process, graph, tip)
        return engine, Robot(arm, CoppeliaGripper(process, graph))

    def close(self) -> None:
        """Shut CoppeliaSim down; closing twice is harmless."""
        self._process.close()
