"""Results on disk: records, and the store of artefacts."""
