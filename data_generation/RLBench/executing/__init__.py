"""A robot that acts by what cameras see: the one room that knows both stages."""
