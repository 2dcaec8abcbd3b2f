"""CoppeliaSim itself: started once in a process, with RLBench's base scene."""

from dataclasses import replace
from typing import Any, ClassVar

from rlbench.engines.constants import STEP
from rlbench.engines.coppelia.api import BASE_SCENE, TASK_MODELS, load_api, rlbench_checkout
from rlbench.engines.errors import EngineError, SceneError
from rlbench.engines.robots import PANDA

ROBOT = replace(PANDA, fingers=("Panda_leftfinger_respondable", "Panda_rightfinger_respondable"))
"""The Panda of RLBench's base scene."""


class CoppeliaProcess:
    """One running CoppeliaSim; holds one task's model at a time.

    Attributes:
        api: PyRep's modules.
        pyrep: PyRep's simulation.
        arm: PyRep's Panda.
        gripper: PyRep's gripper.
        home: (7,) saved pose of the arm [rad].
        opened: (2,) saved travel of the fingers [m].
        version: of CoppeliaSim and PyRep.
    """

    _runs: ClassVar[bool] = False

    def __init__(self, headless: bool = True) -> None:
        """Start CoppeliaSim; `headless` opens no window (an X server is needed all the same).

        Raises:
            EngineError: something is missing, or this process has a simulator already.
        """
        self.api = load_api()
        self._checkout = rlbench_checkout()
        if CoppeliaProcess._runs:
            raise EngineError(
                "a process can run one CoppeliaSim and this one does; shut the other environment "
                "down first, or use another process"
            )
        self._root: Any = None
        try:
            self.pyrep = self.api.pyrep.PyRep()
            self.pyrep.launch(str(self._checkout / BASE_SCENE), headless=headless)
        except self.api.errors.PyRepError as error:
            reason = " ".join(str(error).split())
            raise EngineError(f"CoppeliaSim could not be started: {reason}") from error
        CoppeliaProcess._runs = True
        self._prepare()

    def _prepare(self) -> None:
        sim = self.api.sim
        step = self.pyrep.get_simulation_timestep()
        if abs(step - STEP) > 1e-6:
            self.close()
            raise EngineError(
                f"{self._checkout / BASE_SCENE} steps by {step:g} s; an observation step must be "
                f"{STEP:g} s"
            )
        number = int(sim.simGetInt32Parameter(sim.sim_intparam_program_version))
        self.version = (
            f"{number // 10000}.{number // 100 % 100}.{number % 100} "
            f"(PyRep {self.api.pyrep.__version__})"
        )
        self.pyrep.start()
        self.arm = self.api.arms.Panda()
        self.gripper = self.api.grippers.PandaGripper()
        self.arm.set_control_loop_enabled(True)
        # Cameras are handled when an image is wanted, not at every step.
        vision = self.api.const.ObjectType.VISION_SENSOR
        for camera in self.pyrep.get_objects_in_tree(object_type=vision):
            camera.set_explicit_handling(1)
        self.home = [float(q) for q in self.arm.get_joint_positions()]
        self.opened = [float(q) for q in self.gripper.get_joint_positions()]

    def load(self, task: str) -> str:
        """Load a task's model into the workspace; one loaded before is removed.

        Returns:
            The name of the model's file.

        Raises:
            SceneError: there is no model of that name.
        """
        self.unload()
        file = self._checkout / TASK_MODELS / f"{task}.ttm"
        if not file.is_file():
            raise SceneError(f"scene file {file.name} not found in {file.parent}")
        self._root = self.pyrep.import_model(str(file))
        # Where RLBench puts a task before it is placed at random.
        self._root.set_position(list(self.api.objects.Shape("workspace").get_position()))
        return file.name

    def attach(self, native: Any) -> None:
        """Make the gripper hold an object of PyRep where it is, whatever its sensor says."""
        gripper = self.gripper
        gripper._old_parents.append(native.get_parent())
        gripper._grasped_objects.append(native)
        native.set_parent(gripper._attach_point, keep_in_place=True)

    def unload(self) -> None:
        """Remove the task's model."""
        if self._root is not None:
            self.gripper.release()
            self._root.remove()
            self._root = None

    def close(self) -> None:
        """Shut CoppeliaSim down; closing twice is harmless."""
        if self.pyrep is not None:
            self.pyrep.shutdown()
            self.pyrep = None
            CoppeliaProcess._runs = False
