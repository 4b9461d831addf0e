"""The networks in TensorFlow. Importing this package imports no TensorFlow yet; its modules do."""

import os

# Read when TensorFlow is first imported: no start-up notices about the CPU on the user's console, errors only.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
