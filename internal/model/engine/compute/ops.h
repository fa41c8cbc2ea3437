//go:build engine && cgo

// Graph operations of our own, as ggml custom operations: linear layers on
// packed weights, embeddings, attention over a tree of tokens, and the head
// that turns hidden states into log-probabilities.
#ifndef SX_OPS_H
#define SX_OPS_H

#include "ggml.h"
#include "kernels.h"

#define SX_MAX_THREADS 64

// sx_node is a stretch of tokens of the batch that follow one another, with
// the way back to the first token of their sequence.
typedef struct {
    int row, len;       // rows of the batch
    int first_run;      // ancestors: runs[first_run .. first_run+nruns-1], oldest first
    int nruns;
    int past;           // tokens in the ancestor runs = position of the first token
    int keep;           // block that receives the keys and values, or -1
    int keep_at;        // its first row there
    int pads;           // a row of padding that stands for so many, or 0
} sx_node;

// sx_ancestor is one run of ancestors: rows of the batch (block < 0) or rows
// of a block of remembered keys and values.
typedef struct {
    int block, row, len;
} sx_ancestor;

// sx_block remembers keys and values of up to cap tokens. For each layer:
// keys [kv width][cap], then values [cap][kv width].
typedef struct {
    float *data;
    int cap;
} sx_block;

// sx_batch describes what a forward pass works on.
typedef struct {
    int rows;
    const int32_t *tokens, *positions;
    int nnodes, nancestors, nblocks;
    const sx_node *nodes;
    const sx_ancestor *ancestors;
    const sx_block *blocks;
    // what the head is asked for, in order of row
    int nout;                 // rows whose log-probabilities are wanted
    const int32_t *out_rows;
    const int32_t *out_first; // nout+1: targets[out_first[i]..out_first[i+1]-1]
    const int32_t *targets;
    double *logprobs;         // one for each target
    float *logits;            // nout rows of the vocabulary, or NULL
} sx_batch;

// sx_graph builds and computes forward passes, one at a time.
typedef struct sx_graph sx_graph;

sx_graph *sx_graph_new(const sx_kernels *ks, int max_nodes);
void sx_graph_free(sx_graph *g);
void sx_graph_begin(sx_graph *g, const sx_batch *b);
// Computes what was built. Returns 0, or -1 when memory ran out.
int sx_graph_compute(sx_graph *g, int threads);
size_t sx_graph_memory(const sx_graph *g);

struct ggml_tensor *sx_embed(sx_graph *g, const sx_matrix *w);
struct ggml_tensor *sx_positions(sx_graph *g, const float *table, int width, int offset);
struct ggml_tensor *sx_linear(sx_graph *g, struct ggml_tensor *x, const sx_matrix *w, int act, struct ggml_tensor *res);
// n is the number of features of x; w and b may be NULL.
struct ggml_tensor *sx_layernorm(sx_graph *g, struct ggml_tensor *x, int n, const float *w, const float *b, float eps);
struct ggml_tensor *sx_add(sx_graph *g, struct ggml_tensor *a, struct ggml_tensor *b);
// qkv: each row holds heads*hd of queries, then kv_heads*hd of keys, then of values.
struct ggml_tensor *sx_attention(sx_graph *g, struct ggml_tensor *qkv, int layer, int heads, int kv_heads, int hd, float scale);
void sx_head(sx_graph *g, struct ggml_tensor *x, const sx_matrix *w);

#endif
