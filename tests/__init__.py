"""The tests. A regular package: other packages, too, install one that is named `tests`."""
