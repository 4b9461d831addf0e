"""Neural networks in NumPy alone, with forward and backward passes written by hand."""
