"""Networks that give features at several scales, for the heads of others."""
