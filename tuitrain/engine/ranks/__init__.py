"""A run that several processes train together, its ranks, by torch.distributed.

With one process, nothing of this is imported.
"""
