"""Made-up sources with the defects of real ones: generated from a seed, so that every count is known beforehand."""
