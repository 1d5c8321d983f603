"""What every op with kernels is built from: registration, dispatch, native loading, launching, layouts and checks."""
