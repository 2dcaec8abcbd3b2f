"""Scripts that write the drawn parts of scenes: meshes and textures."""
