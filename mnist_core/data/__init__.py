"""MNIST on disk and in memory: sources, the IDX format, splits."""
