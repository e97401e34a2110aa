"""The stages of a job (fit, explain, show, probe, score), their settings, the runner, progress."""
