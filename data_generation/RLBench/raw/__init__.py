"""The raw data set on disk: every path of its layout, images, the store."""
