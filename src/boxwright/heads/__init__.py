"""Networks that score and move priors."""
