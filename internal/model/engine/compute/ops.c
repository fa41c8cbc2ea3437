//go:build engine && cgo

#include "ops.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sx_graph {
    const sx_kernels *ks;
    struct ggml_backend *backend;
    struct ggml_gallocr *alloc;
    struct ggml_context *ctx; // of the current graph
    struct ggml_cgraph *graph;
    void *meta;
    size_t meta_size;
    int max_nodes;
    sx_batch batch;
    int failed;
    char *args; // what the custom operations need, in one block
    size_t args_used, args_size;
    float *scratch[SX_MAX_THREADS];
    size_t scratch_size[SX_MAX_THREADS];
    struct ggml_tensor *last;
};

sx_graph *sx_graph_new(const sx_kernels *ks, int max_nodes) {
    sx_graph *g = calloc(1, sizeof *g);
    if (!g) return NULL;
    g->ks = ks;
    g->max_nodes = max_nodes;
    g->meta_size = ggml_tensor_overhead() * max_nodes + ggml_graph_overhead_custom(max_nodes, false);
    g->meta = malloc(g->meta_size);
    g->args_size = (size_t)max_nodes * 128;
    g->args = malloc(g->args_size);
    g->backend = ggml_backend_cpu_init();
    g->alloc = ggml_gallocr_new(ggml_backend_cpu_buffer_type());
    if (!g->meta || !g->args || !g->backend || !g->alloc) {
        sx_graph_free(g);
        return NULL;
    }
    return g;
}

void sx_graph_free(sx_graph *g) {
    if (!g) return;
    if (g->ctx) ggml_free(g->ctx);
    if (g->alloc) ggml_gallocr_free(g->alloc);
    if (g->backend) ggml_backend_free(g->backend);
    for (int i = 0; i < SX_MAX_THREADS; i++) sx_release(g->scratch[i]);
    free(g->meta);
    free(g->args);
    free(g);
}

size_t sx_graph_memory(const sx_graph *g) {
    size_t n = g->meta_size + g->args_size + ggml_gallocr_get_buffer_size(g->alloc, 0);
    for (int i = 0; i < SX_MAX_THREADS; i++) n += g->scratch_size[i];
    return n;
}

void sx_graph_begin(sx_graph *g, const sx_batch *b) {
    if (g->ctx) ggml_free(g->ctx);
    struct ggml_init_params p = {g->meta_size, g->meta, true};
    g->ctx = ggml_init(p);
    g->graph = ggml_new_graph_custom(g->ctx, g->max_nodes, false);
    g->batch = *b;
    g->args_used = 0;
    g->failed = 0;
}

int sx_graph_compute(sx_graph *g, int threads) {
    if (g->failed) return -1;
    if (!ggml_gallocr_alloc_graph(g->alloc, g->graph)) return -1;
    ggml_backend_cpu_set_n_threads(g->backend, threads < SX_MAX_THREADS ? threads : SX_MAX_THREADS);
    if (ggml_backend_graph_compute(g->backend, g->graph) != 0 || g->failed) return -1;
    return 0;
}

// scratch returns at least n floats for thread i, NULL (and the graph marked
// failed) when there are none.
static float *scratch(sx_graph *g, int i, size_t n) {
    n *= sizeof(float);
    if (g->scratch_size[i] < n) {
        sx_release(g->scratch[i]);
        g->scratch[i] = sx_alloc(n);
        g->scratch_size[i] = g->scratch[i] ? n : 0;
        if (!g->scratch[i]) g->failed = 1;
    }
    return g->scratch[i];
}

static void *args(sx_graph *g, size_t n) {
    n = (n + 15) & ~(size_t)15;
    if (g->args_used + n > g->args_size) abort(); // max_nodes * 128 bounds it
    void *p = g->args + g->args_used;
    g->args_used += n;
    memset(p, 0, n);
    return p;
}

static struct ggml_tensor *custom(sx_graph *g, int64_t ne0, struct ggml_tensor **src, int nsrc, ggml_custom_op_t f, void *a) {
    return ggml_custom_4d(g->ctx, GGML_TYPE_F32, ne0, g->batch.rows, 1, 1, src, nsrc, f, GGML_N_TASKS_MAX, a);
}

// share gives thread ith its part [*from, *to) of n things.
static void share(int n, int ith, int nth, int *from, int *to) {
    *from = (int)((int64_t)n * ith / nth);
    *to = (int)((int64_t)n * (ith + 1) / nth);
}

// ---- embeddings ----

typedef struct {
    sx_graph *g;
    const sx_matrix *w;
    const float *table;
    int width, offset;
} embed_args;

static void embed_run(struct ggml_tensor *dst, int ith, int nth, void *arg) {
    const embed_args *a = arg;
    const sx_batch *b = &a->g->batch;
    float *y = ggml_get_data(dst);
    int from, to;
    share(b->rows, ith, nth, &from, &to);
    for (int i = from; i < to; i++) {
        if (a->w) {
            const int t = b->tokens[i], nr = a->w->nr;
            const float *p = a->w->w + (size_t)(t / nr) * a->w->k * nr + t % nr;
            for (int k = 0; k < a->w->k; k++) y[(size_t)i * a->w->k + k] = p[(size_t)k * nr];
        } else {
            memcpy(y + (size_t)i * a->width, a->table + (size_t)(b->positions[i] + a->offset) * a->width, a->width * sizeof(float));
        }
    }
}

struct ggml_tensor *sx_embed(sx_graph *g, const sx_matrix *w) {
    embed_args *a = args(g, sizeof *a);
    *a = (embed_args){g, w, NULL, 0, 0};
    return custom(g, w->k, NULL, 0, embed_run, a);
}

struct ggml_tensor *sx_positions(sx_graph *g, const float *table, int width, int offset) {
    embed_args *a = args(g, sizeof *a);
    *a = (embed_args){g, NULL, table, width, offset};
    return custom(g, width, NULL, 0, embed_run, a);
}

// ---- linear layers ----

typedef struct {
    sx_graph *g;
    const sx_matrix *w;
    struct ggml_tensor *x, *res;
    int act;
} linear_args;

static void linear_run(struct ggml_tensor *dst, int ith, int nth, void *arg) {
    const linear_args *a = arg;
    const sx_matrix *w = a->w;
    float *s = scratch(a->g, ith, SX_GEMM_SCRATCH);
    int p0, p1;
    share(w->panels, ith, nth, &p0, &p1);
    if (!s || p0 == p1) return;
    const float *res = a->res ? (const float *)ggml_get_data(a->res) + (size_t)p0 * w->nr : NULL;
    a->g->ks->gemm((float *)ggml_get_data(dst) + (size_t)p0 * w->nr, w->n, ggml_get_data(a->x), w->k, a->g->batch.rows, w, p0, p1,
                   a->act, res, w->n, s);
}

struct ggml_tensor *sx_linear(sx_graph *g, struct ggml_tensor *x, const sx_matrix *w, int act, struct ggml_tensor *res) {
    linear_args *a = args(g, sizeof *a);
    *a = (linear_args){g, w, x, res, act};
    struct ggml_tensor *src[2] = {x, res};
    return custom(g, w->n, src, res ? 2 : 1, linear_run, a);
}

typedef struct {
    sx_graph *g;
    struct ggml_tensor *x;
    const float *w, *b;
    int n;
    float eps;
} layernorm_args;

static void layernorm_run(struct ggml_tensor *dst, int ith, int nth, void *arg) {
    const layernorm_args *a = arg;
    const float *x = ggml_get_data(a->x);
    float *y = ggml_get_data(dst);
    int from, to;
    share(a->g->batch.rows, ith, nth, &from, &to);
    for (int i = from; i < to; i++)
        a->g->ks->layernorm(y + (size_t)i * a->n, x + (size_t)i * a->n, a->n, a->w, a->b, a->eps);
}

struct ggml_tensor *sx_layernorm(sx_graph *g, struct ggml_tensor *x, int n, const float *w, const float *b, float eps) {
    layernorm_args *a = args(g, sizeof *a);
    *a = (layernorm_args){g, x, w, b, n, eps};
    return custom(g, n, &x, 1, layernorm_run, a);
}

struct ggml_tensor *sx_add(sx_graph *g, struct ggml_tensor *a, struct ggml_tensor *b) { return ggml_add(g->ctx, a, b); }

// ---- attention ----

typedef struct {
    sx_graph *g;
    struct ggml_tensor *qkv, *kt;
    int layer, heads, kv_heads, hd;
    float scale;
} attention_args;

// Columns of the transposed keys of a batch: every run may be read up to 15
// columns beyond its end.
static int64_t kt_stride(int rows) { return ((rows + 15) & ~15) + 16; }

static void keys_run(struct ggml_tensor *dst, int ith, int nth, void *arg) {
    const attention_args *a = arg;
    const int rows = a->g->batch.rows, kvw = a->kv_heads * a->hd, width = (a->heads + 2 * a->kv_heads) * a->hd;
    const float *k = (const float *)ggml_get_data(a->qkv) + a->heads * a->hd;
    const int64_t ld = kt_stride(rows);
    float *kt = ggml_get_data(dst);
    int from, to;
    share(kvw, ith, nth, &from, &to);
    for (int i0 = 0; i0 < rows; i0 += 16) {
        const int i1 = rows - i0 < 16 ? rows : i0 + 16;
        for (int d = from; d < to; d++)
            for (int i = i0; i < i1; i++) kt[d * ld + i] = k[(size_t)i * width + d];
    }
    for (int d = from; d < to; d++) memset(kt + d * ld + rows, 0, (ld - rows) * sizeof(float));
}

static const float *block_layer(const sx_block *b, int layer, int kvw) { return b->data + (size_t)layer * 2 * kvw * b->cap; }

static void attention_run(struct ggml_tensor *dst, int ith, int nth, void *arg) {
    const attention_args *a = arg;
    const sx_batch *b = &a->g->batch;
    const int hd = a->hd, kvw = a->kv_heads * hd, qw = a->heads * hd, width = qw + 2 * kvw, group = a->heads / a->kv_heads;
    const float *qkv = ggml_get_data(a->qkv), *kt = ggml_get_data(a->kt);
    float *out = ggml_get_data(dst);
    const int64_t ld = kt_stride(b->rows);
    int maxruns = 0, maxtotal = 0;
    for (int i = 0; i < b->nnodes; i++) {
        if (b->nodes[i].nruns > maxruns) maxruns = b->nodes[i].nruns;
        if (b->nodes[i].past + b->nodes[i].len > maxtotal) maxtotal = b->nodes[i].past + b->nodes[i].len;
    }
    const size_t score = (size_t)SX_MAXQ * (((maxtotal + 15) & ~15) + 16);
    const size_t runfloats = ((maxruns + 1) * sizeof(sx_run) + 63) / 64 * 16;
    float *s = scratch(a->g, ith, score + runfloats);
    if (!s) return;
    sx_run *runs = (sx_run *)(s + score);
    // The work is cut by head and node; a thread takes every nth piece.
    int piece = 0;
    for (int n = 0; n < b->nnodes; n++) {
        const sx_node *node = &b->nodes[n];
        for (int kh = 0; kh < a->kv_heads; kh++, piece++) {
            if (piece % nth != ith) continue;
            for (int r = 0; r < node->nruns; r++) {
                const sx_ancestor *c = &b->ancestors[node->first_run + r];
                if (c->block < 0) {
                    runs[r] = (sx_run){kt + (size_t)kh * hd * ld + c->row, qkv + (size_t)c->row * width + qw + kvw + kh * hd, ld, width, c->len};
                } else {
                    const sx_block *blk = &b->blocks[c->block];
                    const float *kb = block_layer(blk, a->layer, kvw), *vb = kb + (size_t)kvw * blk->cap;
                    runs[r] = (sx_run){kb + (size_t)kh * hd * blk->cap + c->row, vb + (size_t)c->row * kvw + kh * hd, blk->cap, kvw, c->len};
                }
            }
            if (node->pads > 0) { // the mean of all values
                const float *own = qkv + (size_t)node->row * width + qw + kvw + kh * hd;
                float *o = out + (size_t)node->row * qw + (size_t)kh * group * hd;
                const float w = 1.0f / (float)(node->past + node->pads);
                for (int d = 0; d < hd; d++) o[d] = (float)node->pads * own[d];
                for (int r = 0; r < node->nruns; r++)
                    for (int j = 0; j < runs[r].len; j++)
                        for (int d = 0; d < hd; d++) o[d] += runs[r].v[j * runs[r].ldv + d];
                for (int d = 0; d < hd; d++) o[d] *= w;
                for (int h = 1; h < group; h++) memcpy(o + h * hd, o, hd * sizeof(float));
                continue;
            }
            for (int i = 0; i < node->len; i += SX_MAXQ) {
                const int nq = node->len - i < SX_MAXQ ? node->len - i : SX_MAXQ, row = node->row + i;
                runs[node->nruns] = (sx_run){kt + (size_t)kh * hd * ld + node->row,
                                             qkv + (size_t)node->row * width + qw + kvw + kh * hd, ld, width, i + nq};
                for (int h = kh * group; h < (kh + 1) * group; h++)
                    a->g->ks->attend(out + (size_t)row * qw + h * hd, qw, qkv + (size_t)row * width + h * hd, width, nq, hd, runs,
                                     node->nruns + 1, node->past + i + nq, a->scale, s);
            }
            if (node->keep >= 0) { // remember this head's keys and values
                const sx_block *blk = &b->blocks[node->keep];
                float *kb = (float *)block_layer(blk, a->layer, kvw), *vb = kb + (size_t)kvw * blk->cap;
                for (int d = kh * hd; d < (kh + 1) * hd; d++)
                    memcpy(kb + (size_t)d * blk->cap + node->keep_at, kt + d * ld + node->row, node->len * sizeof(float));
                for (int i = 0; i < node->len; i++)
                    memcpy(vb + (size_t)(node->keep_at + i) * kvw + kh * hd, qkv + (size_t)(node->row + i) * width + qw + kvw + kh * hd,
                           hd * sizeof(float));
            }
        }
    }
}

struct ggml_tensor *sx_attention(sx_graph *g, struct ggml_tensor *qkv, int layer, int heads, int kv_heads, int hd, float scale) {
    attention_args *a = args(g, sizeof *a);
    *a = (attention_args){g, qkv, NULL, layer, heads, kv_heads, hd, scale};
    a->kt = ggml_custom_4d(g->ctx, GGML_TYPE_F32, kt_stride(g->batch.rows), (int64_t)kv_heads * hd, 1, 1, &qkv, 1, keys_run, GGML_N_TASKS_MAX, a);
    struct ggml_tensor *src[2] = {qkv, a->kt};
    return custom(g, (int64_t)heads * hd, src, 2, attention_run, a);
}

// ---- head ----

typedef struct {
    sx_graph *g;
    const sx_matrix *w;
    struct ggml_tensor *x;
} head_args;

enum { HEAD_ROWS = 168, HEAD_COLS = 256 };

static void head_run(struct ggml_tensor *dst, int ith, int nth, void *arg) {
    (void)dst;
    const head_args *a = arg;
    const sx_batch *b = &a->g->batch;
    const sx_matrix *w = a->w;
    const sx_kernels *ks = a->g->ks;
    const float *x = ggml_get_data(a->x);
    // rows are shared out in whole blocks of the register tile
    int from, to;
    if (nth > 1) {
        share((b->nout + ks->mr - 1) / ks->mr, ith, nth, &from, &to);
        from *= ks->mr, to = to * ks->mr < b->nout ? to * ks->mr : b->nout;
    } else {
        from = 0, to = b->nout;
    }
    float *s = scratch(a->g, ith, (size_t)SX_GEMM_SCRATCH + HEAD_ROWS * (size_t)(w->k + HEAD_COLS) + 3 * HEAD_ROWS + 16);
    if (!s) return;
    float *xs = s + SX_GEMM_SCRATCH, *t = xs + HEAD_ROWS * (size_t)w->k;
    float *max = t + HEAD_ROWS * HEAD_COLS;
    double *sum = (double *)(((uintptr_t)(max + HEAD_ROWS) + 15) & ~(uintptr_t)15);
    const int step = HEAD_COLS / w->nr;
    for (int i0 = from; i0 < to; i0 += HEAD_ROWS) {
        const int m = to - i0 < HEAD_ROWS ? to - i0 : HEAD_ROWS;
        for (int i = 0; i < m; i++) {
            memcpy(xs + (size_t)i * w->k, x + (size_t)b->out_rows[i0 + i] * w->k, w->k * sizeof(float));
            max[i] = -INFINITY;
            sum[i] = 0;
        }
        for (int p = 0; p < w->panels; p += step) {
            const int p1 = p + step < w->panels ? p + step : w->panels;
            const int c0 = p * w->nr, n = (p1 * w->nr < w->n ? p1 * w->nr : w->n) - c0;
            ks->gemm(t, HEAD_COLS, xs, w->k, m, w, p, p1, SX_ACT_NONE, NULL, 0, s);
            for (int i = 0; i < m; i++) {
                const float *row = t + (size_t)i * HEAD_COLS;
                if (b->logits) memcpy(b->logits + (size_t)(i0 + i) * w->n + c0, row, n * sizeof(float));
                const int f = b->out_first[i0 + i], l = b->out_first[i0 + i + 1];
                if (f == l) continue;
                ks->lse(row, n, &max[i], &sum[i]);
                for (int j = f; j < l; j++)
                    if (b->targets[j] >= c0 && b->targets[j] < c0 + n) b->logprobs[j] = row[b->targets[j] - c0];
            }
        }
        for (int i = 0; i < m; i++)
            for (int j = b->out_first[i0 + i]; j < b->out_first[i0 + i + 1]; j++) b->logprobs[j] -= (double)max[i] + log(sum[i]);
    }
}

void sx_head(sx_graph *g, struct ggml_tensor *x, const sx_matrix *w) {
    head_args *a = args(g, sizeof *a);
    *a = (head_args){g, w, x};
    ggml_build_forward_expand(g->graph, ggml_custom_4d(g->ctx, GGML_TYPE_F32, 1, 1, 1, 1, &x, 1, head_run, GGML_N_TASKS_MAX, a));
}
