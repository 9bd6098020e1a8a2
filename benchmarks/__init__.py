"""What tuitrain costs, measured: python -m benchmarks.overhead."""
