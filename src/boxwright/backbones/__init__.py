"""Networks that turn an image into feature maps and say what those look like (`specs`)."""
