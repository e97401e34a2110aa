"""A job's stages: fit, explain, show, probe, score; their settings, the runner, progress."""
