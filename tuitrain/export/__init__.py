"""A run for other tools: tables, TensorBoard's files, and a program that trains as it did."""
