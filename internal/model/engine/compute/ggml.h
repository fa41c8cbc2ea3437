//go:build engine && cgo

// The part of ggml's C interface that this package calls. The functions are
// linked from github.com/ollama/ollama/ml/backend/ggml/ggml/src, whose headers
// cannot be included from another module; tensors stay opaque, so nothing here
// depends on the layout of its structs but sx_ggml_init_params.
#ifndef SX_GGML_H
#define SX_GGML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ggml_context;
struct ggml_tensor;
struct ggml_cgraph;
struct ggml_gallocr;
struct ggml_backend;
struct ggml_backend_buffer_type;

struct ggml_init_params {
    size_t mem_size;
    void *mem_buffer;
    bool no_alloc;
};

enum { GGML_TYPE_F32 = 0, GGML_TYPE_I32 = 26 };
#define GGML_N_TASKS_MAX (-1)

typedef void (*ggml_custom_op_t)(struct ggml_tensor *dst, int ith, int nth, void *userdata);

size_t ggml_tensor_overhead(void);
size_t ggml_graph_overhead_custom(size_t size, bool grads);
struct ggml_context *ggml_init(struct ggml_init_params params);
void ggml_free(struct ggml_context *ctx);
struct ggml_tensor *ggml_new_tensor_1d(struct ggml_context *ctx, int type, int64_t ne0);
struct ggml_tensor *ggml_new_tensor_2d(struct ggml_context *ctx, int type, int64_t ne0, int64_t ne1);
void *ggml_get_data(const struct ggml_tensor *t);
int64_t ggml_nelements(const struct ggml_tensor *t);
struct ggml_tensor *ggml_norm(struct ggml_context *ctx, struct ggml_tensor *a, float eps);
struct ggml_tensor *ggml_mul(struct ggml_context *ctx, struct ggml_tensor *a, struct ggml_tensor *b);
struct ggml_tensor *ggml_add(struct ggml_context *ctx, struct ggml_tensor *a, struct ggml_tensor *b);
struct ggml_tensor *ggml_mul_mat(struct ggml_context *ctx, struct ggml_tensor *a, struct ggml_tensor *b);
struct ggml_tensor *ggml_custom_4d(struct ggml_context *ctx, int type, int64_t ne0, int64_t ne1, int64_t ne2, int64_t ne3,
                                   struct ggml_tensor **args, int n_args, ggml_custom_op_t fun, int n_tasks, void *userdata);

struct ggml_cgraph *ggml_new_graph_custom(struct ggml_context *ctx, size_t size, bool grads);
void ggml_build_forward_expand(struct ggml_cgraph *g, struct ggml_tensor *t);

struct ggml_backend *ggml_backend_cpu_init(void);
void ggml_backend_cpu_set_n_threads(struct ggml_backend *b, int n);
void ggml_backend_free(struct ggml_backend *b);
int ggml_backend_graph_compute(struct ggml_backend *b, struct ggml_cgraph *g);
struct ggml_backend_buffer_type *ggml_backend_cpu_buffer_type(void);
struct ggml_gallocr *ggml_gallocr_new(struct ggml_backend_buffer_type *t);
void ggml_gallocr_free(struct ggml_gallocr *a);
bool ggml_gallocr_alloc_graph(struct ggml_gallocr *a, struct ggml_cgraph *g);
size_t ggml_gallocr_get_buffer_size(struct ggml_gallocr *a, int id);

#endif
