"""Vision sensors of a session: their pictures, and pictures put together of them."""
