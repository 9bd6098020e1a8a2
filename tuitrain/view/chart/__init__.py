"""Charts: from losses, metrics and series to cells."""
