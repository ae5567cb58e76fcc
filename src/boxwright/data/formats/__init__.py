"""Annotation formats: readers that report what is wrong and go on, and writers that lose nothing they can hold."""
