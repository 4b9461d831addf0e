"""Eight digit classifiers, four in TensorFlow and their NumPy twins.

A library: it knows nothing of DVC, of the commands in ``stages/``, or of where a project keeps its files.
"""
