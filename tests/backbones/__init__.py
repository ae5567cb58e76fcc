"""Backbones: laws that all keep, and what each is by itself."""
