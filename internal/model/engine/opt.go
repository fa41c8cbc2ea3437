//go:build engine && cgo

package engine

import (
	"math"

	"sextant/internal/model/engine/compute"
)

// OPT (facebook/opt-125m … 66b): learned positions with an offset of 2, layer
// norm before or after (350m), a projection between word embeddings and hidden
// size (350m), relu or gelu, tied or untied output.
func init() { architectures["opt"] = loadOPT }

// optOffset is added to each position; the first rows of the table stand for
// padding.
const optOffset = 2

type opt struct {
	hidden, embedDim int
	normFirst        bool
	act              compute.Activation
	heads            compute.Heads

	embed      *compute.Matrix // vocabulary × embedDim
	out        *compute.Matrix // the same when tied
	positions  *compute.Vector
	projectIn  *compute.Matrix
	projectOut *compute.Matrix
	norm       norm
	layers     []optLayer
}

type optLayer struct {
	qkv, attnOut, fc1, fc2 *compute.Matrix
	attnNorm, ffnNorm      norm
}

const optEpsilon = 1e-5 // nn.LayerNorm's default; OPT's config has none

func loadOPT(c config, w *loader) (network, error) {
	m := &opt{
		hidden:    c.int("hidden_size", 768),
		normFirst: c.bool("do_layer_norm_before", true),
		act:       c.activation("activation_function", "relu"),
	}
	m.embedDim = c.int("word_embed_proj_dim", m.hidden)
	vocab, ffn, layers, heads := c.int("vocab_size", 50272), c.int("ffn_dim", 3072), c.int("num_hidden_layers", 12), c.int("num_attention_heads", 12)
	maxPos := c.int("max_position_embeddings", 2048)
	bias, affine := c.bool("enable_bias", true), c.bool("layer_norm_elementwise_affine", true)
	c.atLeast(1, "hidden_size", "word_embed_proj_dim", "vocab_size", "ffn_dim", "num_hidden_layers", "num_attention_heads", "max_position_embeddings")
	if c.err() == nil && m.hidden%heads != 0 {
		c.fail("hidden_size %d is not a multiple of num_attention_heads %d", m.hidden, heads)
	}
	if err := c.err(); err != nil {
		return nil, err
	}
	hd := m.hidden / heads
	m.heads = compute.Heads{Query: heads, KV: heads, Size: hd, Scale: float32(1 / math.Sqrt(float64(hd)))}

	w.prefix("model.decoder.", "decoder.", "")
	m.embed = w.matrix("embed_tokens", vocab, m.embedDim, false)
	m.out = m.embed
	if !c.bool("tie_word_embeddings", true) {
		m.out = w.top().matrix("lm_head", vocab, m.embedDim, false)
	}
	m.positions = w.table("embed_positions.weight", maxPos+optOffset, m.hidden)
	if m.embedDim != m.hidden {
		m.projectIn = w.matrix("project_in", m.hidden, m.embedDim, false)
		m.projectOut = w.matrix("project_out", m.embedDim, m.hidden, false)
	}
	if m.normFirst && !c.bool("_remove_final_layer_norm", false) {
		m.norm = w.norm("final_layer_norm", m.hidden, affine, affine)
	}
	for i := range layers {
		l := w.in("layers.%d.", i)
		m.layers = append(m.layers, optLayer{
			attnNorm: l.norm("self_attn_layer_norm", m.hidden, affine, affine),
			qkv:      l.fused([]string{"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"}, []int{m.hidden, m.hidden, m.hidden}, m.hidden, bias),
			attnOut:  l.matrix("self_attn.out_proj", m.hidden, m.hidden, bias),
			ffnNorm:  l.norm("final_layer_norm", m.hidden, affine, affine),
			fc1:      l.matrix("fc1", ffn, m.hidden, bias),
			fc2:      l.matrix("fc2", m.hidden, ffn, bias),
		})
	}
	return m, w.err()
}

func (m *opt) shape() shape {
	return shape{vocab: m.embed.N, positions: m.positions.Rows() - optOffset, layers: len(m.layers), kvWidth: m.heads.KV * m.heads.Size,
		nodes: 16 + 16*len(m.layers), padding: true}
}

func (m *opt) forward(g *compute.Graph) {
	var none compute.Tensor
	x := g.Embed(m.embed)
	pos := g.Positions(m.positions, optOffset)
	if m.projectIn != nil {
		x = g.Linear(x, m.projectIn, compute.None, pos)
	} else {
		x = g.Add(x, pos)
	}
	for i := range m.layers {
		l := &m.layers[i]
		h := x
		if m.normFirst {
			h = l.attnNorm.of(g, x, optEpsilon)
		}
		h = g.Attention(g.Linear(h, l.qkv, compute.None, none), i, m.heads)
		x = g.Linear(h, l.attnOut, compute.None, x)
		if !m.normFirst {
			x = l.attnNorm.of(g, x, optEpsilon)
		}
		h = x
		if m.normFirst {
			h = l.ffnNorm.of(g, x, optEpsilon)
		}
		x = g.Linear(g.Linear(h, l.fc1, m.act, none), l.fc2, compute.None, x)
		if !m.normFirst {
			x = l.ffnNorm.of(g, x, optEpsilon)
		}
	}
	if m.norm.on {
		x = m.norm.of(g, x, optEpsilon)
	}
	if m.projectOut != nil {
		x = g.Linear(x, m.projectOut, compute.None, none)
	}
	g.Head(x, m.out)
}
