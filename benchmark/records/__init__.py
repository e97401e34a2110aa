"""What is on disk: records, and the store of artefacts."""
