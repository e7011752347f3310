"""Checkpoints as other tools quantize them: AWQ, GPTQ, compressed-tensors, ModelOpt and fp8, packed with numpy.

pack(kind, weight) gives the tensors of one matrix [out, in] by suffix, and the float values that they stand for;
quantization_config(kind) is what config.json says about them."""
import mlx.core as mx
import numpy as np

AWQ_ORDER = [0, 2, 4, 6, 1, 3, 5, 7]  # nibble i of a word holds output AWQ_ORDER[i]
E2M1 = np.array([0, .5, 1, 1.5, 2, 3, 4, 6, -0., -.5, -1, -1.5, -2, -3, -4, -6], dtype=np.float32)
GROUP = 64


def to_words(codes, bits):
    """[..., n] codes to [..., n * bits / 32] int32, the first in the lowest bits."""
    if 32 % bits:  # a stream over word boundaries
        planes = codes.astype(np.uint32)[..., None] >> np.arange(bits, dtype=np.uint32) & 1
        return np.packbits(planes.astype(np.uint8).reshape(*codes.shape[:-1], -1), axis=-1, bitorder="little").view(np.int32)
    per = 32 // bits
    pad = -codes.shape[-1] % per
    codes = np.pad(codes, [(0, 0)] * (codes.ndim - 1) + [(0, pad)]).astype(np.uint32)
    shifted = codes.reshape(*codes.shape[:-1], -1, per) << (np.arange(per, dtype=np.uint32) * bits)
    return np.bitwise_or.reduce(shifted, axis=-1).view(np.int32)


def integers(w, bits, group, symmetric):
    """Codes [out, in], scales and zeros [out, groups] and the values (q - zero) * scale, with half-precision scales."""
    top = 2 ** bits - 1
    g = w.reshape(w.shape[0], -1, group)
    if symmetric:
        zero = np.full(g.shape[:2], 2 ** (bits - 1))
        scale = np.abs(g).max(-1) / (2 ** (bits - 1) - 1)
    else:
        lo, hi = np.minimum(g.min(-1), 0), np.maximum(g.max(-1), 0)
        scale = (hi - lo) / top
        zero = np.clip(np.round(-lo / scale), 1, top)
    scale = scale.astype(np.float16)
    s = scale.astype(np.float32)[..., None]
    q = np.clip(np.round(g / s) + zero[..., None], 0, top).astype(np.int64)
    values = ((q - zero[..., None]) * s).astype(np.float32).reshape(w.shape)
    return q.reshape(w.shape), scale, zero.astype(np.int64), values


def awq(w, symmetric=False):
    q, scale, zero, values = integers(w, 4, GROUP, symmetric)
    order = lambda x: x.reshape(*x.shape[:-1], -1, 8)[..., AWQ_ORDER].reshape(x.shape)
    out = {"qweight": mx.array(to_words(order(q.T), 4)), "scales": mx.array(np.ascontiguousarray(scale.T))}
    if not symmetric:
        out["qzeros"] = mx.array(to_words(order(zero.T), 4))
    return out, values


def gptq(w, bits=4, group=GROUP, version=1, act_order=False):
    order = np.random.default_rng(0).permutation(w.shape[1]) if act_order else np.arange(w.shape[1])
    q, scale, zero, values = integers(w[:, order], bits, group, False)
    back = np.argsort(order)
    q, values, g_idx = q[:, back], values[:, back], (np.arange(w.shape[1]) // group)[back]
    if act_order:
        values = values.astype(np.float16).astype(np.float32)
    return {"qweight": mx.array(np.ascontiguousarray(to_words(q, bits).T)), "scales": mx.array(np.ascontiguousarray(scale.T)),
            "qzeros": mx.array(to_words(zero.T - (version == 1), bits)), "g_idx": mx.array(g_idx.astype(np.int32))}, values


def packed(w, bits=4, group=GROUP, symmetric=True):
    q, scale, zero, values = integers(w, bits, group, symmetric)
    out = {"weight_packed": mx.array(to_words(q, bits)), "weight_scale": mx.array(scale),
           "weight_shape": mx.array(np.array(w.shape, dtype=np.int64))}
    if not symmetric:
        out["weight_zero_point"] = mx.array(np.ascontiguousarray(to_words(zero.T, bits).T))
    return out, values


def int8(w):
    q, scale, _, values = integers(w, 8, w.shape[1], True)
    return {"weight": mx.array((q - 128).astype(np.int8)), "weight_scale": mx.array(scale)}, values


def fp8(w, rows, cols, name, dtype=mx.float32):
    """Codes E4M3 and a scale per block of rows x cols; the values are rounded to bfloat16 as mlx-lm rounds them."""
    m, n = w.shape
    full = np.pad(w, ((0, -m % rows), (0, -n % cols)))
    blocks = full.reshape(full.shape[0] // rows, rows, full.shape[1] // cols, cols)
    scale = mx.array((np.abs(blocks).max((1, 3)) / 448).astype(np.float32)).astype(dtype)
    wide = mx.repeat(mx.repeat(scale.astype(mx.float32), rows, 0), cols, 1)[:m, :n]
    codes = mx.to_fp8(mx.array(w) / wide)
    values = (mx.from_fp8(codes, dtype=mx.bfloat16) * wide).astype(mx.bfloat16).astype(mx.float32)
    return {"weight": codes, name: scale}, np.array(values)


def e4m3(x):
    codes = mx.to_fp8(mx.array(x))
    return codes, np.array(mx.from_fp8(codes, dtype=mx.float32))


def fp4(w, nv, factor):
    """Codes E2M1 as bytes, two each; `factor` multiplies every scale (nvfp4)."""
    group = 16 if nv else 32
    g = w.reshape(w.shape[0], -1, group)
    top = np.abs(g).max(-1) / 6 / factor
    if nv:
        scales, s = e4m3(top)
    else:
        e = np.ceil(np.log2(top)) + 127
        scales, s = mx.array(e.astype(np.uint8)), np.exp2(e - 127)
    s = (s * factor)[..., None].astype(np.float32)
    q = np.abs(g[..., None] / s[..., None] - E2M1).argmin(-1).astype(np.uint8).reshape(w.shape)
    values = (E2M1[q].reshape(g.shape) * s).reshape(w.shape)
    return mx.array(q[:, 0::2] | q[:, 1::2] << 4), scales, values


def nvfp4_tensors(w):
    bits, scales, values = fp4(w, True, 1 / 64)
    return {"weight_packed": bits, "weight_scale": scales, "weight_global_scale": mx.array([64.0])}, values


def modelopt(w):
    bits, scales, values = fp4(w, True, 1 / 64)
    return {"weight": bits, "weight_scale": scales, "weight_scale_2": mx.array(1 / 64)}, values


def mxfp4_tensors(w):
    bits, scales, values = fp4(w, False, 1)
    return {"weight_packed": bits, "weight_scale": scales}, values


def ct(fmt):
    return {"quant_method": "compressed-tensors", "format": fmt}


# kind: (packer, quantization_config, safetensors type of uint8 tensors by suffix)
FP8 = {"weight": "F8_E4M3"}
KINDS = {
    "awq": (awq, {"quant_method": "awq", "bits": 4, "group_size": GROUP, "version": "gemm", "zero_point": True}, {}),
    "awq-sym": (lambda w: awq(w, True), {"quant_method": "awq", "bits": 4, "group_size": GROUP, "zero_point": False}, {}),
    "gptq": (gptq, {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": False}, {}),
    "gptq-v2": (lambda w: gptq(w, version=2), {"quant_method": "gptq", "bits": 4, "checkpoint_format": "gptq_v2"}, {}),
    "gptq-8bit": (lambda w: gptq(w, 8), {"quant_method": "gptq", "bits": 8, "group_size": GROUP}, {}),
    "gptq-3bit": (lambda w: gptq(w, 3), {"quant_method": "gptq", "bits": 3, "group_size": GROUP}, {}),
    "gptq-2bit": (lambda w: gptq(w, 2), {"quant_method": "gptq", "bits": 2, "group_size": GROUP}, {}),
    "gptq-act-order": (lambda w: gptq(w, act_order=True), {"quant_method": "gptq", "bits": 4, "group_size": GROUP, "desc_act": True}, {}),
    "gptq-rows": (lambda w: gptq(w, 4, w.shape[1]), {"quant_method": "gptq", "bits": 4, "group_size": -1}, {}),
    "ct-int4": (packed, ct("pack-quantized"), {}),
    "ct-int4-asym": (lambda w: packed(w, symmetric=False), ct("pack-quantized"), {}),
    "ct-int4-rows": (lambda w: packed(w, group=w.shape[1]), ct("pack-quantized"), {}),
    "ct-int8": (lambda w: packed(w, 8, 128), ct("pack-quantized"), {}),
    "ct-w8a8": (int8, ct("int-quantized"), {}),
    "ct-fp8": (lambda w: fp8(w, 1, w.shape[1], "weight_scale", mx.bfloat16), ct("float-quantized"), FP8),
    "ct-nvfp4": (nvfp4_tensors, ct("nvfp4-pack-quantized"), {"weight_scale": "F8_E4M3"}),
    "ct-mxfp4": (mxfp4_tensors, ct("mxfp4-pack-quantized"), {}),
    "modelopt": (modelopt, {"quant_method": "modelopt", "quant_algo": "NVFP4"}, {"weight_scale": "F8_E4M3"}),
    "fp8-blocks": (lambda w: fp8(w, 128, 128, "weight_scale_inv"), {"quant_method": "fp8", "weight_block_size": [128, 128]}, FP8),
    "fp8-small-blocks": (lambda w: fp8(w, 48, 32, "weight_scale_inv"), {"quant_method": "fp8", "weight_block_size": [48, 32]}, FP8),
    "fp8-whole": (lambda w: fp8(w, *w.shape, "weight_scale_inv", mx.bfloat16), {"quant_method": "fp8"}, FP8),
}
TITLES = {
    "awq": "AutoAWQ, 4 bits, gemm, zero points", "awq-sym": "the same, symmetric", "gptq": "GPTQ, 4 bits",
    "gptq-v2": "GPTQ, checkpoint_format gptq_v2", "gptq-8bit": "GPTQ, 8 bits", "gptq-rows": "GPTQ, one group a row",
    "gptq-3bit": "GPTQ, 3 bits", "gptq-2bit": "GPTQ, 2 bits", "gptq-act-order": "GPTQ with act-order (multiplied out to F16)",
    "ct-int4": "compressed-tensors pack-quantized, 4 bits, symmetric", "ct-int4-asym": "the same, zero points",
    "ct-int4-rows": "the same, a scale per row", "ct-int8": "compressed-tensors pack-quantized, 8 bits",
    "ct-w8a8": "compressed-tensors int-quantized, 8 bits (weights)", "ct-fp8": "compressed-tensors float-quantized, a scale per row",
    "ct-nvfp4": "compressed-tensors nvfp4-pack-quantized", "ct-mxfp4": "compressed-tensors mxfp4-pack-quantized",
    "modelopt": "ModelOpt NVFP4", "fp8-blocks": "fp8 with scales of 128 x 128 (multiplied out to BF16)",
    "fp8-small-blocks": "fp8 with other weight_block_size", "fp8-whole": "fp8, one scale a matrix",
}
