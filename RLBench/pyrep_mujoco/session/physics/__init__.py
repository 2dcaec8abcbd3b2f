"""MuJoCo under a document: which bodies it becomes, its model, its motors, its steps."""
