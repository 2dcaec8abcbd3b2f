"""What every room uses; no PyTorch."""
