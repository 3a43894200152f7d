"""What a model is worth, measured by running it in the real engine."""
