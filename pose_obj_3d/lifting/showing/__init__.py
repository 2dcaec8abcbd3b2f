"""Looking at lifted points: pictures, videos, recordings for a viewer."""
