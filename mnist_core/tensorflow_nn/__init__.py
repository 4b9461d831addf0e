"""The same networks in TensorFlow."""
