"""How far features move when a picture is changed and what it shows is not: the invariance probe.

`changes` holds the changes, `representations` what is compared, `measure` the two figures, `run` puts them
together; `table` and `plot` show them.
"""
