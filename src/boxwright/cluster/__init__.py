"""Images as vectors of features, and vectors as clusters: from a folder to a page that a person can browse."""
