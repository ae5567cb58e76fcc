"""The file that spark-submit is given: the command line, on the cluster that spark-submit has chosen.

    spark-submit --master spark://host:7077 .../boxwright/spark/job.py cluster hdfs:///photos -o hdfs:///clusters

`python -c "import boxwright.spark.job as job; print(job.__file__)"` says where it is. docs/spark.md tells how an
environment is shipped along.
"""

from __future__ import annotations

import sys

from pyspark import SparkConf, SparkContext

from boxwright.cli import main as command_line


def main() -> None:
    """`boxwright ARGUMENTS --spark MASTER`, with the master that spark-submit was told."""
    # What spark-submit was told is known to its Java, which is asked.
    SparkContext._ensure_initialized()
    sys.argv += ["--spark", SparkConf(_jvm=SparkContext._jvm).get("spark.master", "local[*]") or "local[*]"]
    command_line()


if __name__ == "__main__":
    main()
