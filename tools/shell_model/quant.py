"""MLX affine quantization in PyTorch: the same codes, scales and biases as mlx.core.quantize gives for float16 weights."""

import torch


def affine(w, bits, group):
    """w [out, in] -> (codes [out, in/group, group] float32, scales, biases [out, in/group, 1] float32), before rounding to float16."""
    g = w.half().float().reshape(w.shape[0], -1, group)
    bins = float((1 << bits) - 1)
    lo, hi = g.amin(-1, keepdim=True), g.amax(-1, keepdim=True)
    low_edge = lo.abs() > hi.abs()
    scale = ((hi - lo) / bins).clamp(min=1e-7)
    scale = torch.where(low_edge, scale, -scale)
    edge = torch.where(low_edge, lo, hi)
    q0 = torch.round(edge / scale)
    on = q0 != 0
    scale = torch.where(on, edge / torch.where(on, q0, torch.ones_like(q0)), scale)
    bias = torch.where(on, edge, torch.zeros_like(edge))
    codes = torch.round((g - bias) / scale).clamp(0, bins)
    return codes, scale, bias


def fake(w, bits, group):
    """What the engine will compute with: quantized, scales and biases as float16, and back. float32, shape of w."""
    codes, scale, bias = affine(w, bits, group)
    return (codes * scale.half().float() + bias.half().float()).reshape(w.shape)


def pack(w, bits, group):
    """-> (weight uint32 [out, in*bits/32], scales, biases float16 [out, in/group]) as numpy arrays."""
    codes, scale, bias = affine(w.detach().cpu().float(), bits, group)
    per = 32 // bits
    c = codes.to(torch.int64).reshape(w.shape[0], -1, per)
    words = (c << (torch.arange(per) * bits)).sum(-1)
    import numpy as np
    return words.numpy().astype(np.uint32), scale.half().squeeze(-1).numpy(), bias.half().squeeze(-1).numpy()
