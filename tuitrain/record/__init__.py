"""The record, inbox, lock and signals of a running trainer."""
