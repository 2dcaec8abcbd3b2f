"""Scripts that draw meshes and textures of the built-in scenes."""
