"""Textures, by their numbers."""


class Texture:
    """An image that shapes can wear."""

    def __init__(self, texture_id: int) -> None:
        self._texture_id = texture_id

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Texture):
            raise NotImplementedError
        return self.get_texture_id() == other.get_texture_id()

    def get_texture_id(self) -> int:
        """Return the texture's number, -1 for none."""
        return self._texture_id
