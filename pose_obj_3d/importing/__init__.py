"""Archives made of other projects' data sets."""
