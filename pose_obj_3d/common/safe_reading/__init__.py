"""Read files of unknown origin: nothing in them is run, and time and memory are limited."""
