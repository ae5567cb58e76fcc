"""Engines that run a model, what carries it from torch to them, and where their images come from."""
