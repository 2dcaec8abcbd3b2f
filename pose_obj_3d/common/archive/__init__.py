"""The data format of one archive: names, arrays, `meta`, and the older layout."""
