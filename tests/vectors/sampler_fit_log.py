#!/usr/bin/env python3
"""The coefficients of log in runtime/base/exact_math.c.

P(f) = (log(1 + f) - f + f^2/2) / f^3 on [sqrt(1/2) - 1, sqrt(2) - 1], degree 7. Lawson's iteration turns a weighted
least-squares fit into one with the least maximum; the weight makes it the relative error of log(1 + f).
Prints the coefficients, lowest degree first, rounded to f32, and the largest relative error before rounding."""
import numpy as np

DEGREE = 7
low, high = np.sqrt(0.5) - 1, np.sqrt(2) - 1
n = 4000
x = (low + high) / 2 + (high - low) / 2 * np.cos(np.pi * (np.arange(n) + 0.5) / n)
y = (np.log1p(x) - x + x * x / 2) / x**3
near = np.abs(x) < 1e-2  # cancellation: the series itself
y[near] = sum((-1) ** k * x[near] ** k / (k + 3) for k in range(12))
relative = np.abs(x**3 / np.log1p(x))
weight = np.ones(n)
for _ in range(60):
    root = np.sqrt(weight) * relative
    coefficients = np.linalg.lstsq(np.vander(x, DEGREE + 1, increasing=True) * root[:, None], y * root, rcond=None)[0]
    error = np.abs(np.vander(x, DEGREE + 1, increasing=True) @ coefficients - y) * relative
    weight *= error
    weight /= weight.sum()
for c in coefficients:
    print(float(np.float32(c)).hex())
print("largest relative error %.2g" % error.max())
