"""Every speed figure of the docs comes from here: `python -m benchmarks [NAME ...] [--json]`."""
