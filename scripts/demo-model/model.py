"""The demo model's decoder in JAX: Qwen3's shape, small.

Pre-norm layers with RMSNorm, grouped-query attention with a norm on every query and key head, rotary embedding in
halves (NeoX order), a SwiGLU feed-forward, and an output head tied to the embedding. Matrices are kept as [out, in],
the order of a GGUF tensor, so export needs no transpose.

`train.py` calls `loss` (bf16 matrix products that accumulate in f32: on a CPU with bf16 instructions two to five times as fast as f32);
`evaluate.py` calls `prefill` and `step` (f32 throughout).
"""

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax


@dataclass(frozen=True)
class Shape:
    """Sizes of the decoder; every row length is a multiple of 32, the block of Q8_0."""

    vocab: int = 4096
    width: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 640
    context: int = 1024
    rope_base: float = 10000.0
    norm_eps: float = 1e-6

    def tensors(self):
        """Name and shape of every tensor, in the file's order."""
        q, kv = self.heads * self.head_dim, self.kv_heads * self.head_dim
        yield "token_embd", (self.vocab, self.width)
        for i in range(self.layers):
            yield f"blk.{i}.attn_norm", (self.width,)
            yield f"blk.{i}.attn_q", (q, self.width)
            yield f"blk.{i}.attn_k", (kv, self.width)
            yield f"blk.{i}.attn_v", (kv, self.width)
            yield f"blk.{i}.attn_q_norm", (self.head_dim,)
            yield f"blk.{i}.attn_k_norm", (self.head_dim,)
            yield f"blk.{i}.attn_output", (self.width, q)
            yield f"blk.{i}.ffn_norm", (self.width,)
            yield f"blk.{i}.ffn_gate", (self.ffn, self.width)
            yield f"blk.{i}.ffn_up", (self.ffn, self.width)
            yield f"blk.{i}.ffn_down", (self.width, self.ffn)
        yield "output_norm", (self.width,)

    def parameters(self):
        """Number of weights."""
        return sum(int(np.prod(s)) for _, s in self.tensors())


def init(shape, seed):
    """Seeded start: norms at 1, matrices normal, those that write to the residual stream scaled down by depth."""
    rng = np.random.default_rng(seed)
    params = {}
    for name, size in shape.tensors():
        if len(size) == 1:
            params[name] = np.ones(size, np.float32)
            continue
        std = 0.02 if name == "token_embd" else (size[1] ** -0.5) * 0.6
        if name.endswith(("attn_output", "ffn_down")):
            std /= (2 * shape.layers) ** 0.5
        params[name] = rng.normal(0.0, std, size).astype(np.float32)
    return params


@jax.custom_vjp
def _linear_bf16(x, w):
    return _linear_bf16_fwd(x, w)[0]


def dot(a, b, da, db):
    return lax.dot_general(a, b, (((da,), (db,)), ((), ())), preferred_element_type=jnp.float32)


def bf16(*arrays):
    # The barrier keeps XLA from merging the conversion with the product, which it then does in f32, at a third of the speed.
    return lax.optimization_barrier(tuple(a.astype(jnp.bfloat16) for a in arrays))


def _linear_bf16_fwd(x, w):
    xb, wb = bf16(x, w)
    return dot(xb, wb, 1, 1), (xb, wb)


def _linear_bf16_bwd(saved, g):
    # Both products of the backward pass take bf16 factors too; autodiff would widen them to f32, the slow path.
    # The weight's gradient sums over all rows: in chunks of 512, each transposed first, it runs four times as fast.
    xb, wb = saved
    (gb,) = bf16(g)
    chunks = max(1, xb.shape[0] // 512)
    xt = lax.optimization_barrier(xb.reshape(chunks, -1, xb.shape[1]).transpose(0, 2, 1))
    gc = gb.reshape(chunks, -1, gb.shape[1])
    return dot(gb, wb, 1, 0), sum(dot(xt[i], gc[i], 1, 0) for i in range(chunks)).T


_linear_bf16.defvjp(_linear_bf16_fwd, _linear_bf16_bwd)


def _linear_f32(x, w):
    return jnp.dot(x, w.T)


def _norm(x, weight, eps):
    return x * lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def _rope(x, positions, base):
    """Rotates x [.., heads, head_dim] by its position: pairs are (i, i + head_dim / 2)."""
    half = x.shape[-1] // 2
    freqs = base ** (-jnp.arange(half, dtype=jnp.float32) / half)
    angle = positions[..., None, None].astype(jnp.float32) * freqs
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    a, b = x[..., :half], x[..., half:]
    return jnp.concatenate([a * cos - b * sin, b * cos + a * sin], axis=-1)


def _attend(q, k, v, mask):
    """q [b, t, heads, d], k and v [b, s, kv_heads, d], mask [b, t, s] (True: may look)."""
    b, t, heads, d = q.shape
    kv = k.shape[2]
    q = q.reshape(b, t, kv, heads // kv, d)
    scores = jnp.einsum("btkgd,bskd->bkgts", q, k) * d**-0.5
    scores = jnp.where(mask[:, None, None], scores, -1e30)
    return jnp.einsum("bkgts,bskd->btkgd", jax.nn.softmax(scores, axis=-1), v).reshape(b, t, heads * d)


def _batched(a, b, da, db):
    return lax.dot_general(a, b, (((da,), (db,)), ((0,), (0,))), preferred_element_type=jnp.float32)


@jax.custom_vjp
def _scores_bf16(q, k):
    """q [n, t, d], k [n, s, d] -> [n, t, s]."""
    return _scores_bf16_fwd(q, k)[0]


def _scores_bf16_fwd(q, k):
    q, k = bf16(q, k)
    return _batched(q, k, 2, 2), (q, k)


def _scores_bf16_bwd(saved, g):
    (q, k), (g,) = saved, bf16(g)
    return _batched(g, k, 2, 1), _batched(g, q, 1, 1)


_scores_bf16.defvjp(_scores_bf16_fwd, _scores_bf16_bwd)


@jax.custom_vjp
def _mix_bf16(p, v):
    """p [n, t, s], v [n, s, d] -> [n, t, d]."""
    return _mix_bf16_fwd(p, v)[0]


def _mix_bf16_fwd(p, v):
    p, v = bf16(p, v)
    return _batched(p, v, 2, 1), (p, v)


def _mix_bf16_bwd(saved, g):
    (p, v), (g,) = saved, bf16(g)
    return _batched(g, v, 2, 2), _batched(p, g, 1, 1)


_mix_bf16.defvjp(_mix_bf16_fwd, _mix_bf16_bwd)


def _attend_bf16(q, k, v, mask):
    """As `_attend`, with both products in bf16 and the queries that share a key head in one of them."""
    b, t, heads, d = q.shape
    kv, s = k.shape[2], k.shape[1]
    q = (q * d**-0.5).reshape(b, t, kv, heads // kv, d).transpose(0, 2, 3, 1, 4).reshape(b * kv, -1, d)
    k, v = (y.transpose(0, 2, 1, 3).reshape(b * kv, s, d) for y in (k, v))
    scores = _scores_bf16(q, k).reshape(b, kv, -1, t, s) + jnp.where(mask, 0.0, -1e30)[:, None, None]
    mixed = _mix_bf16(jax.nn.softmax(scores, axis=-1).reshape(b * kv, -1, s), v)
    return mixed.reshape(b, kv, -1, t, d).transpose(0, 3, 1, 2, 4).reshape(b, t, heads * d)


def _layer(shape, linear, attend, p, i, x, positions, cache, mask):
    """One layer over x [b, t, width]. `cache` maps this call's keys and values to those attended to."""
    b, t, width = x.shape
    w = lambda name: p[f"blk.{i}.{name}"]
    flat = lambda y: y.reshape(b * t, -1)
    h = flat(_norm(x, w("attn_norm"), shape.norm_eps))
    q = linear(h, w("attn_q")).reshape(b, t, shape.heads, shape.head_dim)
    k = linear(h, w("attn_k")).reshape(b, t, shape.kv_heads, shape.head_dim)
    v = linear(h, w("attn_v")).reshape(b, t, shape.kv_heads, shape.head_dim)
    q = _rope(_norm(q, w("attn_q_norm"), shape.norm_eps), positions, shape.rope_base)
    k = _rope(_norm(k, w("attn_k_norm"), shape.norm_eps), positions, shape.rope_base)
    k, v = cache(i, k, v)
    x = x + linear(flat(attend(q, k, v, mask)), w("attn_output")).reshape(b, t, width)
    h = flat(_norm(x, w("ffn_norm"), shape.norm_eps))
    h = jax.nn.silu(linear(h, w("ffn_gate"))) * linear(h, w("ffn_up"))
    return x + linear(h, w("ffn_down")).reshape(b, t, width)


def loss(shape, params, batch):
    """Mean cross-entropy of the tokens to learn, over packed rows where a token sees its own segment only.

    batch: tokens, segments, positions [b, t]; picks [n], places in the flat rows whose next token is learned (the head,
    a third of the work, runs on these alone); targets [n] with -1 for padding.
    """
    x = params["token_embd"][batch["tokens"]]
    t = x.shape[1]
    segments = batch["segments"]
    mask = (segments[:, :, None] == segments[:, None, :]) & jnp.tril(jnp.ones((t, t), bool))
    for i in range(shape.layers):
        x = _layer(shape, _linear_bf16, _attend_bf16, params, i, x, batch["positions"], lambda _, k, v: (k, v), mask)
    x = _norm(x.reshape(-1, shape.width)[batch["picks"]], params["output_norm"], shape.norm_eps)
    logits = _linear_bf16(x, params["token_embd"])
    target = batch["targets"]
    picked = jnp.sum(jnp.where(jnp.arange(shape.vocab)[None] == target[:, None], logits, 0.0), axis=1)
    highest = lax.stop_gradient(jnp.max(logits, axis=1, keepdims=True))
    each = jnp.log(jnp.sum(jnp.exp(logits - highest), axis=1)) + highest[:, 0] - picked
    learned = target >= 0
    return jnp.sum(jnp.where(learned, each, 0.0)) / jnp.maximum(jnp.sum(learned), 1)


@partial(jax.jit, static_argnums=(0, 4))
def prefill(shape, params, tokens, lengths, room):
    """Right-padded prompts [b, t] -> logits at each row's last token, and caches [layers, b, room, kv_heads, d]."""
    b, t = tokens.shape
    kept = []

    def cache(_, k, v):
        kept.append((k, v))
        return k, v

    positions = jnp.broadcast_to(jnp.arange(t), (b, t))
    mask = jnp.broadcast_to(jnp.tril(jnp.ones((t, t), bool)), (b, t, t))
    x = params["token_embd"][tokens]
    for i in range(shape.layers):
        x = _layer(shape, _linear_f32, _attend, params, i, x, positions, cache, mask)
    x = jnp.take_along_axis(x, (lengths - 1)[:, None, None], axis=1)[:, 0]
    logits = _linear_f32(_norm(x, params["output_norm"], shape.norm_eps), params["token_embd"])
    pad = lambda y: jnp.pad(y, ((0, 0), (0, room - t), (0, 0), (0, 0)))
    return logits, jnp.stack([pad(k) for k, _ in kept]), jnp.stack([pad(v) for _, v in kept])


@partial(jax.jit, static_argnums=0, donate_argnums=(4, 5))
def step(shape, params, token, position, keys, values):
    """One token a row at its own position -> logits and the caches with it."""
    b, room = token.shape[0], keys.shape[2]
    rows = jnp.arange(b)
    new_k, new_v = [], []

    def cache(i, k, v):
        new_k.append(keys[i].at[rows, position].set(k[:, 0]))
        new_v.append(values[i].at[rows, position].set(v[:, 0]))
        return new_k[-1], new_v[-1]

    mask = (jnp.arange(room)[None, :] <= position[:, None])[:, None, :]
    x = params["token_embd"][token][:, None]
    for i in range(shape.layers):
        x = _layer(shape, _linear_f32, _attend, params, i, x, position[:, None], cache, mask)
    logits = _linear_f32(_norm(x[:, 0], params["output_norm"], shape.norm_eps), params["token_embd"])
    return logits, jnp.stack(new_k), jnp.stack(new_v)
