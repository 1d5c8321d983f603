"""Building blocks of dichotomous image segmentation networks."""
