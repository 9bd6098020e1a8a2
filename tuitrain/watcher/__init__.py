"""Watch and steer a training loop that is not ours, through hooks on PyTorch."""
