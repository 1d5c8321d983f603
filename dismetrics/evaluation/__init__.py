"""Evaluation of folders: files in threads, tables, reports; what the command lines are made of."""
