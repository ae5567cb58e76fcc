"""Regions: proposals that come from the picture itself, and what a network reads inside a box."""
