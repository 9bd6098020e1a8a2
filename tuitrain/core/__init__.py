"""The vocabulary that every other room speaks; standard library only."""
