"""The scene: its graph, its joints' tree, what is welded, what changes while it runs."""
