"""A scripted model: a real checkpoint whose answers are known, so that conversations with tools run through the real server.

Each script is a text that the model says, and when: a condition of the chat template over `messages` and `tools`. The template
ends its generation prompt with a token of the first script whose condition holds; from there each token has one successor, up to
the end token. A token is a piece of text that occurs in one place of all scripts only, so the successor is a function of the last
token: attention and feed-forward add nothing, embeddings are random signs, and a row of the head is the embedding of the token
before. Nothing of this is in the program; the tests make the files."""
import json
from pathlib import Path

WIDTH = 512

# Conversations in the form that the hermes syntax has, with reasoning of earlier turns left out.
TEMPLATE = """{%- if tools %}<|turn|>system
{% if messages[0].role == 'system' %}{{ messages[0].content }}

{% endif %}Tools: {% for t in tools %}{{ t | tojson }}
{% endfor %}Call one with <tool_call>
{"name": ..., "arguments": ...}
</tool_call><|end|>
{% elif messages[0].role == 'system' %}<|turn|>system
{{ messages[0].content }}<|end|>
{% endif %}{% for m in messages %}{% if m.role == 'user' %}<|turn|>user
{{ m.content }}<|end|>
{% elif m.role == 'assistant' %}<|turn|>assistant
{% if m.reasoning_content %}<think>
{{ m.reasoning_content }}
</think>

{% endif %}{{ m.content or '' }}{% for c in m.tool_calls or [] %}
<tool_call>
{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}
</tool_call>{% endfor %}<|end|>
{% elif m.role == 'tool' %}<|turn|>user
<tool_response>
{{ m.content }}
</tool_response><|end|>
{% endif %}{% endfor %}{% if add_generation_prompt %}<|turn|>assistant
CHOOSE{% endif %}"""


def _alphabet():
    table, extra = {}, 256
    keep = {*range(33, 127), *range(161, 173), *range(174, 256)}
    for b in range(256):
        table[b] = chr(b) if b in keep else chr(extra)
        extra += b not in keep
    return table


def _pieces(text, used, size):
    """The text cut into pieces that no other place has; each is at least one character, and none splits a character."""
    out, at = [], 0
    while at < len(text):
        n = size
        while text[at:at + n] in used and at + n < len(text):
            n += 1
        piece = text[at:at + n]
        while piece in used:  # the rest is too short to be the only one: it goes to the piece before
            assert out, f"a script cannot be {text!r}: another place has this text"
            last = out.pop()
            used.discard(last)
            piece = last + piece
        used.add(piece)
        out.append(piece)
        at += n
    return out


def write_scripted_model(folder, scripts, template=TEMPLATE, context=4096, size=4):
    """scripts: [{"when": condition or None, "say": text, "endless": bool}]; the first whose condition holds is said. A condition
    is Jinja; None always holds. `endless` goes on with the text's first piece after its last. Returns the folder."""
    import numpy as np
    from safetensors.numpy import save_file
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    table = _alphabet()
    vocab = {table[b]: b for b in range(256)}
    # A token that ends many scripts would be near to each of their last tokens, so one ends eight of them.
    ends = ["<|end|>"] + [f"@end_{k}@" for k in range(1, (len(scripts) + 7) // 8)]
    special = [*ends, "<|turn|>"] + [f"@script_{k}@" for k in range(len(scripts))]
    for s in special:
        vocab[s] = len(vocab)
    used, follow = set("".join(chr(b)) for b in range(128)), {}
    for k, script in enumerate(scripts):
        ids = []
        for piece in _pieces(script["say"], used, size):
            name = "".join(table[b] for b in piece.encode())
            vocab[name] = len(vocab)
            ids.append(vocab[name])
        chain = [vocab[f"@script_{k}@"], *ids, ids[0] if script.get("endless") else vocab[ends[k // 8]]]
        for a, b in zip(chain, chain[1:]):
            follow[a] = b
    n = len(vocab)
    rng = np.random.default_rng(7)
    embed = rng.choice(np.array([-1, 1], np.float32), size=(n, WIDTH))
    head = np.zeros((n, WIDTH), np.float32)
    for a, b in follow.items():
        head[b] += 0.25 * embed[a]
    zero = lambda *shape: np.zeros(shape, np.float32)
    one = lambda: np.ones(WIDTH, np.float32)
    layer = "model.layers.0."
    save_file({"model.embed_tokens.weight": embed, "lm_head.weight": head, "model.norm.weight": one(), layer + "input_layernorm.weight": one(),
               layer + "post_attention_layernorm.weight": one(), layer + "self_attn.q_proj.weight": zero(64, WIDTH),
               layer + "self_attn.k_proj.weight": zero(64, WIDTH), layer + "self_attn.v_proj.weight": zero(64, WIDTH),
               layer + "self_attn.o_proj.weight": zero(WIDTH, 64), layer + "mlp.gate_proj.weight": zero(64, WIDTH),
               layer + "mlp.up_proj.weight": zero(64, WIDTH), layer + "mlp.down_proj.weight": zero(WIDTH, 64)},
              str(folder / "model.safetensors"), metadata={"format": "pt"})
    config = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": WIDTH, "intermediate_size": 64, "num_hidden_layers": 1,
              "num_attention_heads": 1, "num_key_value_heads": 1, "head_dim": 64, "rms_norm_eps": 1e-6, "vocab_size": n, "max_position_embeddings": context,
              "rope_theta": 10000.0, "tie_word_embeddings": False, "eos_token_id": [vocab[e] for e in ends]}
    (folder / "config.json").write_text(json.dumps(config))
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    added = [{"id": vocab[s], "content": s, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True} for s in special]
    tok = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "post_processor": None, "pre_tokenizer": level,
           "decoder": level, "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                                       "fuse_unk": False, "byte_fallback": False, "vocab": vocab, "merges": []}}
    (folder / "tokenizer.json").write_text(json.dumps(tok, ensure_ascii=False))
    choose = ""
    for k, script in enumerate(scripts):
        when = script.get("when")
        choose += (f"{{% {'if' if k == 0 else 'elif'} {when} %}}" if when else ("{% else %}" if k else "")) + f"@script_{k}@"
    choose += "{% endif %}" if scripts[0].get("when") else ""
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|end|>", "chat_template": template.replace("CHOOSE", choose)}))
    return folder


# What the tests of clients talk with: a call, its result's answer, reasoning, a long text, a text without end.
LAST = "(messages[-1].content if messages[-1].content is string else '')"
CLIENTS = [
    {"when": "messages[-1].role == 'tool'", "say": "It is 21 degrees and sunny in Paris."},
    {"when": f"tools and 'both' in {LAST}",
     "say": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris"}}\n</tool_call>\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Köln", "days": [1, 2]}}\n</tool_call>'},
    {"when": f"tools and 'weather' in {LAST}", "say": '<think>\nThe user wants weather, so I call.\n</think>\n\nLet me look.\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}}\n</tool_call>'},
    {"when": f"'story' in {LAST}", "say": "Once upon a time a small fox ran over the hills, ", "endless": True},
    {"when": f"'think' in {LAST}", "say": "<think>\nTwo and two are four.\n</think>\n\nThe answer is 4."},
    {"when": f"'at least ninety' in {LAST}", "say": '{"name": "Alma", "age": 90}'},
    {"when": f"tools and 'json' in {LAST}", "say": '<tool_call>\n{"name": "Person", "arguments": {"name": "Ida", "age": 41}}\n</tool_call>'},
    {"when": f"'json' in {LAST}", "say": '{"name": "Ada", "age": 36}'},
    {"when": None, "say": "Hello! How can I help you today? 日本語 too."},
]
