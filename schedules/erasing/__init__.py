"""Erasing a person on request, with a proof; and everything that is held about a person as one file."""
