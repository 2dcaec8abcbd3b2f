"""The buffers that pictures are drawn into, with the model's textures and meshes."""

import mujoco

from pyrep_mujoco.errors import RenderingError

# Facets around and along round shapes. Vertices are what software OpenGL spends its time on:
# MuJoCo's 28 x 16 cost half as much again per image; a facet lies 1.2 % of the radius inside.
_SLICES, _STACKS = 20, 12
# MuJoCo's own 4096 takes twice as long and looks the same; 1024 leaves specks on round shapes.
_SHADOW_SIZE = 2048  # [px] side of the picture that tells what the light reaches


def make_buffers(
    model: mujoco.MjModel, shape: tuple[int, int], shadows: bool, multisample: int
) -> mujoco.MjrContext:
    """Make buffers of exactly the image's size; the model's settings are left as found.

    Args:
        model: the scene; its textures and meshes are uploaded now.
        shape: height and width of the image [px].
        shadows: make a buffer for shadows, too.
        multisample: samples per pixel, or as many as OpenGL has.

    Raises:
        RenderingError: OpenGL has no such buffers.
    """
    view, quality = model.vis.global_, model.vis.quality
    wanted = (
        (view, "offheight", shape[0]),
        (view, "offwidth", shape[1]),
        (quality, "offsamples", multisample),
        (quality, "shadowsize", _SHADOW_SIZE if shadows else 0),
        (quality, "numslices", _SLICES),
        (quality, "numstacks", _STACKS),
    )
    before = [(owner, key, getattr(owner, key)) for owner, key, _ in wanted]
    for owner, key, value in wanted:
        setattr(owner, key, value)
    try:
        context = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_50)
    except mujoco.FatalError as error:
        raise RenderingError(f"OpenGL: {error}") from error
    finally:
        for owner, key, value in before:
            setattr(owner, key, value)
    mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN, context)
    # Reversed depth keeps millimetres at a near plane of 1 cm.
    context.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR
    return context
