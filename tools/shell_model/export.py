"""Writes the trained weights as MLX would hold them, cut in parts that travel well."""

import dataclasses
import json
import os
import shutil

import quant

PART = 15 << 20


def config_json(config, group, bits, embed_bits, eos, pad):
    q = {"group_size": group, "bits": bits, "mode": "affine",
         "model.embed_tokens": {"group_size": group, "bits": embed_bits, "mode": "affine"}}
    c = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3"}
    c.update(dataclasses.asdict(config))
    c.update({"hidden_act": "silu", "attention_bias": False, "tie_word_embeddings": True, "torch_dtype": "float16", "use_sliding_window": False,
              "eos_token_id": eos, "pad_token_id": pad, "quantization": q, "quantization_config": q})
    return json.dumps(c, indent=2)


def parts(out, names, masters, config, tokenizer, group, bits_of):
    """config.json, tokenizer.json and model.part0..N in `out`; joined, the parts are model.safetensors. -> its bytes"""
    from safetensors.numpy import save
    tensors = {}
    for name, m in zip(names, masters):
        bits = bits_of(name, m)
        if not bits:
            tensors[name] = m.half().cpu().numpy()
            continue
        base = name[:-len(".weight")]
        tensors[name], tensors[base + ".scales"], tensors[base + ".biases"] = quant.pack(m, bits, group)
    blob = save(tensors, metadata={"format": "mlx"})
    for i in range(0, len(blob), PART):
        with open(os.path.join(out, "model.part%d" % (i // PART)), "wb") as f:
            f.write(blob[i:i + PART])
    from tokenizers import Tokenizer
    tok = Tokenizer.from_file(tokenizer)
    text(out, "config.json", config_json(config, group, 4, 8, tok.token_to_id("<|im_end|>"), tok.token_to_id("<|endoftext|>")) + "\n")
    shutil.copy(tokenizer, os.path.join(out, "tokenizer.json"))
    return len(blob)


def text(out, name, content):
    with open(os.path.join(out, name), "w", encoding="utf-8") as f:
        f.write(content)
