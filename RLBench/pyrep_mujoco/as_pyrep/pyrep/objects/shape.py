"""Shapes: what is seen and touched."""

from collections import namedtuple
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pyrep.const import ObjectType, PrimitiveShape, TextureMappingMode
from pyrep.objects.object import Floats, Numbers, Object, object_type_to_class
from pyrep.textures.texture import Texture
from pyrep_mujoco.session.current import current
from pyrep_mujoco.session.objects import mesh_work, shape_making, shapes, textures

SShapeVizInfo = namedtuple(
    "SShapeVizInfo",
    [
        "vertices",
        "indices",
        "normals",
        "shading_angle",
        "colors",
        "texture",
        "texture_id",
        "texture_coords",
        "texture_apply_mode",
        "texture_options",
    ],
)
_MODES = ("modulate", "decal", "add")


class Shape(Object):
    """A rigid body of triangles."""

    # ---- making -------------------------------------------------------------------------

    @staticmethod
    def create(
        type: PrimitiveShape,
        size: Sequence[float],
        mass: float = 1.0,
        backface_culling: bool = False,
        visible_edges: bool = False,
        smooth: bool = False,
        respondable: bool = True,
        static: bool = False,
        renderable: bool = True,
        position: Numbers | None = None,
        orientation: Numbers | None = None,
        color: Sequence[float] | None = None,
    ) -> "Shape":
        """Add a cuboid, sphere, cylinder or cone.

        Args:
            type: of it.
            size: (3,) full sizes [m].
            mass: [kg].
            backface_culling: no effect.
            visible_edges: no effect.
            smooth: no effect.
            respondable: others collide with it.
            static: physics does not move it.
            renderable: vision sensors show it.
            position: (3,) [m].
            orientation: (3,) Euler angles [rad].
            color: (3,) rgb in [0, 1].
        """
        handle = shape_making.create_primitive(
            current(), type.value, size, mass, dynamic=not static, respondable=respondable
        )
        made = Shape(handle)
        made.set_renderable(renderable)
        if position is not None:
            made.set_position(position)
        if orientation is not None:
            made.set_orientation(orientation)
        if color is not None:
            made.set_color(color)
        return made

    @classmethod
    def import_shape(
        cls,
        filename: str,
        scaling_factor: float = 1.0,
        keep_identical_vertices: bool = False,
        ignore_color: bool = False,
        ignore_texture: bool = False,
        reorient_bounding_box: bool = False,
        ignore_up_vector: bool = False,
    ) -> "Shape":
        """Add the mesh of a file with its colours and textures.

        Args:
            filename: of the mesh.
            scaling_factor: of its vertices.
            keep_identical_vertices: no effect.
            ignore_color: leave it grey.
            ignore_texture: leave its images out.
            reorient_bounding_box: no effect.
            ignore_up_vector: no effect.

        Raises:
            ValueError: there is no such file.
        """
        _need_file(filename)
        looks = mesh_work.Looks(color=not ignore_color, texture=not ignore_texture)
        return cls(mesh_work.import_file(current(), filename, scaling_factor, looks))

    @staticmethod
    def import_mesh(
        filename: str,
        scaling_factor: float = 1.0,
        keep_identical_vertices: bool = False,
        ignore_up_vector: bool = False,
    ) -> "Shape":
        """Add the mesh of a file, grey; the arguments are those of `import_shape`.

        Raises:
            ValueError: there is no such file.
        """
        _need_file(filename)
        looks = mesh_work.Looks(color=False, texture=False)
        return Shape(mesh_work.import_file(current(), filename, scaling_factor, looks))

    @staticmethod
    def create_mesh(
        vertices: npt.ArrayLike,
        indices: npt.ArrayLike,
        shading_angle: float | None = None,
        backface_culling: bool = False,
        visible_edges: bool = False,
    ) -> "Shape":
        """Add a mesh.

        Args:
            vertices: x, y, z of each vertex [m].
            indices: three numbers of vertices of each triangle.
            shading_angle: edges sharper than this are drawn sharp [rad].
            backface_culling: triangles are seen from the outside only.
            visible_edges: no effect.
        """
        angle = {} if shading_angle is None else {"shading_angle": float(shading_angle)}
        made = shape_making.create_mesh(
            current(), vertices, indices, culled=backface_culling, **angle
        )
        return Shape(made)

    def _get_requested_type(self) -> ObjectType:
        return ObjectType.SHAPE

    # ---- physics ------------------------------------------------------------------------

    def is_respondable(self) -> bool:
        """Tell whether others collide with the shape."""
        return shapes.is_respondable(current(), self._handle)

    def set_respondable(self, value: bool) -> None:
        """Let others collide with the shape, or pass through it."""
        shapes.set_respondable(current(), self._handle, value)

    def is_dynamic(self) -> bool:
        """Tell whether physics moves the shape."""
        return shapes.is_dynamic(current(), self._handle)

    def set_dynamic(self, value: bool) -> None:
        """Let physics move the shape, or leave it where it is."""
        shapes.set_dynamic(current(), self._handle, value)

    def get_mass(self) -> float:
        """Return the mass [kg]."""
        return shapes.mass(current(), self._handle)

    def set_mass(self, mass: float) -> None:
        """Set the mass [kg]."""
        shapes.set_mass(current(), self._handle, mass)

    def compute_mass_and_inertia(self, density: float) -> None:
        """Set mass and inertia from a density [kg/m^3].

        Raises:
            ValueError: the shape is not convex, and not made of convex parts.
        """
        if not shapes.compute_mass_and_inertia(current(), self._handle, density):
            raise ValueError("The shape must be a convex shape (or convex compound shape)")

    def add_force(
        self, position: Numbers, force: Numbers, reset_force_torque: bool = False
    ) -> None:
        """Push the shape in the next step; pushes add up.

        Args:
            position: (3,) where, in the shape's frame [m].
            force: (3,) in the shape's frame [N].
            reset_force_torque: forget earlier pushes.
        """
        session = current()
        if reset_force_torque:
            session.physics.clear_wrench(self._handle, True, True)
        at, push = np.asarray(position, float), np.asarray(force, float)
        shapes.add_force(session, self._handle, at, push)

    def add_force_and_torque(
        self,
        force: Numbers | None,
        torque: Numbers | None,
        reset_force: bool = False,
        reset_torque: bool = False,
    ) -> None:
        """Push and turn the shape about its centre of mass in the next step; pushes add up.

        Args:
            force: (3,) world [N].
            torque: (3,) world [N m].
            reset_force: forget earlier forces.
            reset_torque: forget earlier torques.
        """
        session = current()
        session.physics.clear_wrench(self._handle, reset_force, reset_torque)
        push = None if force is None else np.asarray(force, float)
        turn = None if torque is None else np.asarray(torque, float)
        shapes.add_wrench(session, self._handle, push, turn)

    # ---- looks --------------------------------------------------------------------------

    def get_color(self) -> list[float]:
        """Return (3,) rgb in [0, 1]."""
        return list(shapes.color(current(), self._handle))

    def set_color(self, color: Sequence[float]) -> None:
        """Paint the shape, (3,) rgb in [0, 1]."""
        shapes.set_color(current(), self._handle, color)

    def get_transparency(self) -> float:
        """Return the opacity: 1 for an opaque shape."""
        return shapes.opacity(current(), self._handle)

    def set_transparency(self, value: float) -> None:
        """Set the opacity: 1 for an opaque shape.

        Raises:
            ValueError: it is not between 0 and 1.
        """
        if not 0 <= value <= 1:
            raise ValueError("Value must be between 0 and 1.")
        shapes.set_opacity(current(), self._handle, value)

    def get_texture(self) -> Texture:
        """Return the texture; its number is -1 where there is none."""
        return Texture(textures.texture_of(current(), self._handle))

    def remove_texture(self) -> None:
        """Show the shape in its plain colour."""
        textures.remove(current(), self._handle)

    def set_texture(
        self,
        texture: Texture,
        mapping_mode: TextureMappingMode,
        interpolate: bool = True,
        decal_mode: bool = False,
        repeat_along_u: bool = False,
        repeat_along_v: bool = False,
        uv_scaling: Sequence[float] = (1.0, 1.0),
        position: Sequence[float] | None = None,
        orientation: Sequence[float] | None = None,
    ) -> None:
        """Lay a texture around the shape.

        Args:
            texture: of the scene.
            mapping_mode: how.
            interpolate: no effect: images are drawn smoothly.
            decal_mode: the shape's own colour is not mixed in.
            repeat_along_u: the image goes on beyond its sides.
            repeat_along_v: the image goes on above and below.
            uv_scaling: metres that one image covers along u and v.
            position: (3,) of the mapping, in the shape's frame [m].
            orientation: (3,) its Euler angles [rad].
        """
        use = textures.worn(
            interpolate=interpolate,
            decal=decal_mode,
            repeat_u=repeat_along_u,
            repeat_v=repeat_along_v,
        )
        textures.wear(
            current(),
            self._handle,
            texture.get_texture_id(),
            mapping_mode.value,
            use,
            scaling=uv_scaling,
            position=position,
            orientation=orientation,
        )

    def apply_texture(
        self,
        texture_coords: npt.NDArray[Any],
        texture: npt.NDArray[Any],
        interpolate: bool = True,
        decal_mode: bool = False,
        is_rgba: bool = False,
        fliph: bool = False,
        flipv: bool = False,
    ) -> None:
        """Put an image on the shape by image points.

        Args:
            texture_coords: (3 F, 2) of the corners of all triangles.
            texture: (height, width, 3 or 4) uint8.
            interpolate: no effect: images are drawn smoothly.
            decal_mode: the shape's own colour is not mixed in.
            is_rgba: the image has four channels.
            fliph: mirror the image.
            flipv: turn the image upside down.

        Raises:
            TypeError: the image is no array.
        """
        if not isinstance(texture, np.ndarray):
            raise TypeError("texture must be np.ndarray type")
        channels = 4 if is_rgba else 3
        pixels = texture.astype(np.uint8).reshape(*texture.shape[:2], -1)[..., :channels]
        pixels = pixels[:, ::-1] if fliph else pixels
        pixels = pixels[::-1] if flipv else pixels
        use = textures.worn(interpolate=interpolate, decal=decal_mode, repeat_u=True, repeat_v=True)
        uv = np.asarray(texture_coords, float)
        textures.apply(current(), self._handle, uv, np.ascontiguousarray(pixels), use)

    # ---- triangles ----------------------------------------------------------------------

    def get_mesh_data(self) -> tuple[Floats, npt.NDArray[np.int64], Floats]:
        """Return (V, 3) vertices [m], (F, 3) triangles and (3 F, 3) normals, in the own frame."""
        return shapes.mesh(current(), self._handle)

    def get_shape_viz(self, index: int) -> Any:
        """Return what a part of the shape looks like.

        Args:
            index: of the part; shapes that were grouped have several.
        """
        look = shapes.look(current(), self._handle, index)
        use = look.part.texture
        options = 0
        if use is not None:
            options = (not use.interpolate) | 2 * (use.mode == "decal")
            options |= 4 * use.repeat_u | 8 * use.repeat_v
        return SShapeVizInfo(
            vertices=look.part.vertices.copy(),
            indices=look.part.faces.astype(float),
            normals=look.part.normals.reshape(-1, 3),
            shading_angle=float(look.part.shading_angle),
            colors=look.colors,
            texture=look.image,
            texture_id=look.image_id,
            texture_coords=look.uv,
            texture_apply_mode=0 if use is None else _MODES.index(use.mode),
            texture_options=int(options),
        )

    def decimate_mesh(self, percentage: float) -> "Shape":
        """Make a shape of fewer triangles at the same place.

        Args:
            percentage: share of triangles that stays, 0.1 to 0.9.

        Raises:
            ValueError: the share is another.
        """
        if not 0.1 <= percentage <= 0.9:
            raise ValueError("percentage param must be between 0.1 and 0.9.")
        return Shape(mesh_work.decimate(current(), self._handle, percentage))

    def get_convex_decomposition(
        self,
        morph: bool = False,
        same: bool = False,
        use_vhacd: bool = False,
        individual_meshes: bool = False,
        hacd_extra_points: bool = True,
        hacd_face_points: bool = True,
        hacd_min_clusters: int = 1,
        hacd_tri_target: int = 500,
        hacd_max_vertex: int = 200,
        hacd_max_iter: int = 4,
        hacd_max_concavity: float = 100,
        hacd_max_dist: float = 30,
        hacd_cluster_thresh: float = 0.25,
        vhacd_pca: bool = False,
        vhacd_tetrahedron: bool = False,
        vhacd_res: int = 100000,
        vhacd_depth: int = 20,
        vhacd_plane_downsample: int = 4,
        vhacd_hull_downsample: int = 4,
        vhacd_max_vertex: int = 64,
        vhacd_concavity: float = 0.0025,
        vhacd_alpha: float = 0.05,
        vhacd_beta: float = 0.05,
        vhacd_gamma: float = 0.00125,
        vhacd_min_vol: float = 0.0001,
    ) -> "Shape":
        """Make a shape of convex parts that together fill this one, at the same place.

        Args:
            morph: this shape becomes it; else it is a new one.
            individual_meshes: each part is decomposed on its own.
            hacd_max_vertex: most vertices of a part, by HACD's name.
            vhacd_max_vertex: the same by V-HACD's name, with `use_vhacd`.
            use_vhacd: take V-HACD's arguments; what works is CoACD in both cases.
            hacd_tri_target: a mesh of more triangles is made simpler first.
            same: no effect.
            hacd_extra_points: no effect; nor have all other arguments of HACD and V-HACD.
        """
        most = vhacd_max_vertex if use_vhacd else hacd_max_vertex
        made = mesh_work.decompose(
            current(),
            self._handle,
            morph=morph,
            each_part=individual_meshes,
            most_vertices=most,
            triangles=hacd_tri_target,
        )
        return Shape(made)

    def ungroup(self) -> "list[Shape]":
        """Make a shape of each part of this one."""
        return [Shape(handle) for handle in shape_making.ungroup(current(), self._handle)]

    def reorient_bounding_box(self, relative_to: Object | None = None) -> None:
        """Turn the shape's frame to that of another object, or the world's; its surface stays."""
        frame = None if relative_to is None else relative_to.get_handle()
        mesh_work.reorient(current(), self._handle, frame)


def _need_file(filename: str) -> None:
    if not Path(filename).is_file():
        raise ValueError("Filename does not exist: " + str(filename))


object_type_to_class[ObjectType.SHAPE] = Shape
