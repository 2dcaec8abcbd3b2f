"""What moves in a scene that is left alone, and why: the scene's own doing, or ours."""

import mujoco
import numpy as np

MOVED = 5e-3
"""What moves by less [m] rests."""
DEEP = 1e-3
"""Overlaps [m] that count."""
GAP = 1e-3
"""What may fall further [m] before it touches anything is saved in the air."""
TOUCH = 5e-5
FALL_STEP, MAX_FALL = 2.5e-4, 0.2
SWINGS = 5e-3
"""Speed [m/s] of the centre of mass of what still swings."""
UNEXPLAINED = "unexplained"


def contacts(engine):
    """Return [(body, body, depth [m])] without the robot's own."""
    model, data = engine.model, engine.data
    mujoco.mj_collision(model, data)
    out = []
    for contact in data.contact:
        a, b = (int(model.geom_bodyid[g]) for g in contact.geom)
        if not {a, b} <= engine.world.robot_bodies:
            out.append((a, b, -float(contact.dist)))
    return out


def overlaps(engine):
    """Return `first+second` -> depth [mm] of bodies that are deeper than 1 mm in each other."""
    out = {}
    for a, b, depth in contacts(engine):
        if depth > DEEP:
            key = "+".join(sorted(engine.model.body(i).name for i in (a, b)))
            out[key] = max(out.get(key, 0.0), round(depth * 1e3, 2))
    return out


class StartedScene:
    """Remembers a scene's start, and explains what has moved since."""

    def __init__(self, engine):
        self._engine = engine
        model, data = engine.model, engine.data
        moving = {int(b) for b in model.jnt_bodyid} - engine.world.robot_bodies
        self._bodies = sorted(moving)
        self._start = engine.get_state()
        self._places = {b: data.xipos[b].copy() for b in self._bodies}
        self._turns = {b: data.xquat[b].copy() for b in self._bodies}
        self._touching = contacts(engine)

    def movements(self):
        """Return name -> {mm, why} of all bodies that have moved by more than 5 mm."""
        engine, data = self._engine, self._engine.data
        mujoco.mj_forward(engine.model, data)
        ways = {b: data.xipos[b] - self._places[b] for b in self._bodies}
        # What is not a number has moved, too.
        far = [b for b in self._bodies if not np.linalg.norm(ways[b]) <= MOVED]
        supports = {b: self._supports(b) & set(far) for b in far}
        degrees = {b: self._turned(b) for b in far}
        swings = {b: self._speed(b) > SWINGS for b in far}
        end = engine.get_state()
        out = {}
        for body in far:
            why = self._why(body, ways[body], degrees[body], swings[body], supports[body])
            mm = round(float(np.linalg.norm(ways[body])) * 1e3, 1)
            out[engine.model.body(body).name] = {"mm": mm, "why": why}
        engine.set_state(end)
        return out

    def _why(self, body, way, degrees, swings, supports):
        model = self._engine.model
        stiffness = self._stiffness(body)
        if stiffness > 0:
            return f"its spring of {stiffness:g} N/m gives way"
        gap = self._gap(body)
        if gap >= GAP:
            turned = f", then turns by {degrees:.0f} degrees" if degrees >= 1 else ""
            return f"saved {gap * 1e3:.1f} mm in the air{turned}"
        if supports:
            return f"stands on {', '.join(sorted(model.body(b).name for b in supports))}"
        pressed = any(body in pair[:2] and pair[2] > DEEP for pair in self._touching)
        if not pressed and way[2] < 0:
            verb = "swings" if swings else "turns"
            return f"saved out of balance: {verb} by {degrees:.0f} degrees"
        return UNEXPLAINED

    def _stiffness(self, body):
        model = self._engine.model
        joints = range(model.body_jntadr[body], model.body_jntadr[body] + model.body_jntnum[body])
        return max((float(np.ravel(model.jnt_stiffness[j])[0]) for j in joints), default=0.0)

    def _supports(self, body):
        """Return the bodies that `body` touches now."""
        return {b if a == body else a for a, b, _ in contacts(self._engine) if body in (a, b)}

    def _speed(self, body):
        velocity = np.zeros(6)
        engine = self._engine
        kind = mujoco.mjtObj.mjOBJ_BODY
        mujoco.mj_objectVelocity(engine.model, engine.data, kind, body, velocity, 0)
        return float(np.linalg.norm(velocity[3:]))

    def _turned(self, body):
        cosine = min(1.0, abs(float(self._turns[body] @ self._engine.data.xquat[body])))
        return float(np.degrees(2 * np.arccos(cosine)))

    def _gap(self, body):
        """Return how far [m] a free body falls from the start before it touches something."""
        engine = self._engine
        if not engine.world.is_free(body):
            return 0.0
        engine.set_state(self._start)
        fallen = 0.0
        while fallen < MAX_FALL and not self._touches(body):
            engine.graph.shift(body, np.array([0.0, 0.0, -FALL_STEP]))
            fallen += FALL_STEP
        engine.set_state(self._start)
        return max(fallen - FALL_STEP, 0.0)

    def _touches(self, body):
        return any(depth > TOUCH for a, b, depth in contacts(self._engine) if body in (a, b))
