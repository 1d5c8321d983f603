"""What every loss is built from that sums terms over the pixels of a sample: one formula, run by one set of kernels.

A formula has three parts, which its room writes in plain PyTorch (``reference.py``) and in Triton (``kernel.py``), and
``csrc/pixel_formulas.simd.h`` in C++:

- ``terms``: what one pixel adds to the sums of its sample.
- ``finish``: the loss of a sample from its sums, and the coefficients that its gradient needs.
- ``slope``: the derivative of the sample's loss with respect to the prediction at one pixel, given the coefficients.
"""
