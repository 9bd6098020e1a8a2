"""Export of a run: tables, TensorBoard files, and a program that trains the same way."""
