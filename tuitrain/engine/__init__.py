"""Where torch lives: data, models, losses, and the loop that trains."""
