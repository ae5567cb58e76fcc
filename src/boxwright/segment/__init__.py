"""A class for every pixel: U-Net (Ronneberger et al. 2015) and networks on any backbone, trained and used.

What runs an exported network (`masks`, `tiles`, `settings`) is free of torch.
"""
