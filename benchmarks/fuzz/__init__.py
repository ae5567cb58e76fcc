"""Commands on damaged and forged files: each must end in time, by 0, 1, 2 or 3, without a traceback, and harm nothing.

`python -m benchmarks.fuzz --minutes 30 --seed 0`; `--replay FOLDER` runs a failure that was kept once more.
"""
