"""Formats of single tools that state image by image what is on it; each is one file."""
