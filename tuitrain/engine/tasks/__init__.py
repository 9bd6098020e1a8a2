"""The built-in tasks' data: each builder returns inputs and targets for training and validation."""
