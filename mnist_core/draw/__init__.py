"""The page on which one draws a digit and all published networks answer, in the browser alone."""
