"""What a study would cost and could show, before it is run."""
