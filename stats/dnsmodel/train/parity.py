"""Computes with NumPy what the network of model.bin says of inputs, to hold the Go code to it.

usage: parity.py model.bin < inputs > inputs and probabilities

A line of inputs is an Input in hexadecimal digits; the probability is put behind it.
"""

import struct
import sys

import numpy as np

SURPRISE, UNITS, INPUTS = 32**3, 32, 48

with open(sys.argv[1], "rb") as f:
    b = f.read()
at = SURPRISE
weights, bias, out = np.empty((UNITS, INPUTS)), np.empty(UNITS), np.empty(UNITS)
for u in range(UNITS):
    weights[u] = np.frombuffer(b, "<i2", INPUTS, at)
    bias[u], out[u] = struct.unpack_from("<qd", b, at + 2 * INPUTS)
    at += 2 * INPUTS + 16
(last,) = struct.unpack_from("<d", b, at)
at += 8 + INPUTS
curve = np.frombuffer(b, "<f8", 2 * b[at], at + 1).reshape(-1, 2)

lines = sys.stdin.read().split()
x = np.array([list(bytes.fromhex(line)) for line in lines], float)
logits = np.maximum(0, x @ weights.T + bias) @ out + last
p = 1 / (1 + np.exp(-np.interp(logits, curve[:, 0], curve[:, 1])))
for line, value in zip(lines, p):
    print(line, repr(float(value)), sep="\t")
