"""The batch job on a Spark cluster: features, clusters and detections of more images than one machine should do."""
