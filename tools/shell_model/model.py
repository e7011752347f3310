"""The decoder (Qwen3 layout: RMSNorm, GQA with normed queries and keys, half-split RoPE, SwiGLU, tied embeddings) for training."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn


@dataclass
class Config:
    vocab_size: int = 4096
    hidden_size: int = 512
    num_hidden_layers: int = 12
    intermediate_size: int = 2048
    num_attention_heads: int = 8
    num_key_value_heads: int = 4
    head_dim: int = 64
    rope_theta: float = 10000.0
    rms_norm_eps: float = 1e-6
    max_position_embeddings: int = 1024


class RMSNorm(nn.Module):
    def __init__(self, dim, eps):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        f = x.float()
        return (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + self.eps)).to(x.dtype) * self.weight


class Attention(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        self.q_proj = nn.Linear(c.hidden_size, self.heads * self.dim, bias=False)
        self.k_proj = nn.Linear(c.hidden_size, self.kv_heads * self.dim, bias=False)
        self.v_proj = nn.Linear(c.hidden_size, self.kv_heads * self.dim, bias=False)
        self.o_proj = nn.Linear(self.heads * self.dim, c.hidden_size, bias=False)
        self.q_norm = RMSNorm(self.dim, c.rms_norm_eps)
        self.k_norm = RMSNorm(self.dim, c.rms_norm_eps)

    def forward(self, x, cos, sin, mask):
        b, t, _ = x.shape
        q = self.q_norm(self.q_proj(x).view(b, t, self.heads, self.dim))
        k = self.k_norm(self.k_proj(x).view(b, t, self.kv_heads, self.dim))
        v = self.v_proj(x).view(b, t, self.kv_heads, self.dim)
        q, k = rotate(q, cos, sin).transpose(1, 2), rotate(k, cos, sin).transpose(1, 2)
        n = self.heads // self.kv_heads
        k = k.repeat_interleave(n, 1)
        v = v.transpose(1, 2).repeat_interleave(n, 1)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, -1))


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class MLP(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.gate_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.up_proj = nn.Linear(c.hidden_size, c.intermediate_size, bias=False)
        self.down_proj = nn.Linear(c.intermediate_size, c.hidden_size, bias=False)

    def forward(self, x):
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.self_attn = Attention(c)
        self.mlp = MLP(c)
        self.input_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        self.post_attention_layernorm = RMSNorm(c.hidden_size, c.rms_norm_eps)

    def forward(self, x, cos, sin, mask):
        x = x + self.self_attn(self.input_layernorm(x), cos, sin, mask)
        return x + self.mlp(self.post_attention_layernorm(x))


class Decoder(nn.Module):
    """Parameter names follow the checkpoint: model.embed_tokens, model.layers.N..., model.norm."""

    def __init__(self, c):
        super().__init__()
        self.c = c
        self.model = nn.Module()
        self.model.embed_tokens = nn.Embedding(c.vocab_size, c.hidden_size)
        self.model.layers = nn.ModuleList(Block(c) for _ in range(c.num_hidden_layers))
        self.model.norm = RMSNorm(c.hidden_size, c.rms_norm_eps)
        for name, p in self.named_parameters():
            if p.ndim == 2:
                std = 0.02 / math.sqrt(2 * c.num_hidden_layers) if name.endswith(("o_proj.weight", "down_proj.weight")) else 0.02
                nn.init.normal_(p, 0, std)
        self.run_block = Block.forward
        self.run_head = head_loss

    def rope(self, pos):
        c = self.c
        inv = c.rope_theta ** (-torch.arange(0, c.head_dim, 2, device=pos.device, dtype=torch.float32) / c.head_dim)
        a = pos.float()[..., None] * inv
        return a.cos()[:, :, None, :], a.sin()[:, :, None, :]

    def hidden(self, ids, pos, mask):
        cos, sin = self.rope(pos)
        x = self.model.embed_tokens(ids)
        for block in self.model.layers:
            x = self.run_block(block, x, cos, sin, mask)
        return x

    def loss(self, ids, pos, doc, targets):
        """targets: -100 where a position does not count. doc: rows hold several documents, which do not see each other."""
        t = ids.shape[1]
        causal = torch.ones(t, t, dtype=torch.bool, device=ids.device).tril()
        mask = (causal & (doc[:, :, None] == doc[:, None, :]))[:, None]
        x = self.hidden(ids, pos, mask)
        return self.run_head(x, self.model.norm.weight, self.c.rms_norm_eps, self.model.embed_tokens.weight, targets)

    @torch.no_grad()
    def logits_at(self, ids, at):
        """Logits of position at[i] of each row i; rows are padded on the right."""
        b, t = ids.shape
        pos = torch.arange(t, device=ids.device).expand(b, t)
        mask = torch.ones(t, t, dtype=torch.bool, device=ids.device).tril()[None, None]
        x = self.hidden(ids, pos, mask)[torch.arange(b, device=ids.device), at]
        return F.linear(self.model.norm(x), self.model.embed_tokens.weight).float()

    def compile(self):
        """Compiles one block (its code serves all layers) and the loss."""
        self.run_block = torch.compile(Block.forward, dynamic=False)
        self.run_head = torch.compile(head_loss, dynamic=False)

    def eager(self):
        self.run_block, self.run_head = Block.forward, head_loss


def head_loss(x, norm, eps, embed, targets):
    f = x.float()
    x = (f * torch.rsqrt(f.pow(2).mean(-1, keepdim=True) + eps)).to(x.dtype) * norm
    logits = F.linear(x, embed).float()
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-100)
