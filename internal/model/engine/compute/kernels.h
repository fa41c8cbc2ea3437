//go:build engine && cgo

// The interface between the Go side, the graph operations (ops.c) and the
// kernels (kernels_*.c). All numbers are float32 unless said otherwise; all
// matrices are row-major with the feature index fastest.
#ifndef SX_KERNELS_H
#define SX_KERNELS_H

#include <stddef.h>
#include <stdint.h>

// Activation functions that a linear layer can apply to its result.
enum { SX_ACT_NONE = 0, SX_ACT_RELU = 1, SX_ACT_GELU = 2, SX_ACT_GELU_TANH = 3, SX_ACT_SILU = 4 };

// Element types of weights as they stand in a checkpoint.
enum { SX_F32 = 0, SX_F16 = 1, SX_BF16 = 2 };

// sx_matrix holds the weights of a linear layer, y = W x + bias with W[n][k],
// packed into panels of nr output rows: w[panel][k][nr], the last panel
// filled up with zeros.
typedef struct {
    int n, k, nr, panels;
    float *w;    // panels * k * nr, 64-byte aligned
    float *bias; // panels * nr, or NULL
} sx_matrix;

// sx_run is a stretch of keys and values that a query attends to, in order of
// position. kt points to the first key's column in a matrix [feature][ldk]
// (keys are kept transposed), v to the first value's row [row][ldv].
typedef struct {
    const float *kt, *v;
    int64_t ldk, ldv;
    int len;
} sx_run;

// A kernel set for one instruction set. Every function gives, for each row,
// the same bits whatever other rows are in the call.
typedef struct {
    const char *name;
    int mr, nr; // rows and columns of the register tile

    // y[m][ldy], columns of panels p0..p1-1 of w (column numbers relative to
    // panel p0), = act(x[m][ldx] * w + bias) + res[m][ldr] (res may be NULL).
    // scratch: sx_gemm_scratch floats.
    void (*gemm)(float *y, int64_t ldy, const float *x, int64_t ldx, int m, const sx_matrix *w, int p0, int p1,
                 int act, const float *res, int64_t ldr, float *scratch);
    // Folds the logits t[n] into a running maximum and sum of exponentials.
    void (*lse)(const float *t, int n, float *max, double *sum);
    // softmax((q·k) * scale) · v for nq consecutive queries of one head.
    // Query i attends to the first total-(nq-1)+i keys of the runs; total is
    // the number of all keys. hd is the size of the head.
    // scratch: nq * (total rounded up to 16, plus 16) floats.
    void (*attend)(float *out, int64_t ldo, const float *q, int64_t ldq, int nq, int hd, const sx_run *runs, int nruns,
                   int total, float scale, float *scratch);
    // y = (x - mean) / sqrt(variance + eps) * w + b; w and b may be NULL.
    void (*layernorm)(float *y, const float *x, int n, const float *w, const float *b, float eps);
} sx_kernels;

#define SX_MAXQ 4 // most queries in one attend call

#define SX_KC 256 // columns of a partial sum
#define SX_MC 168 // rows of a block of x
#define SX_LDA (SX_KC + 16) // their stride when packed

// Floats of scratch memory that a gemm call needs.
#define SX_GEMM_SCRATCH (SX_MC * SX_LDA + 16 * 64)

extern const sx_kernels sx_kernels_generic;
#if defined(__x86_64__)
extern const sx_kernels sx_kernels_avx2;
extern const sx_kernels sx_kernels_avx512;
#endif

// The set that fits this machine best; want names one ("avx512", "avx2",
// "generic") or is empty. NULL when the machine lacks what want needs.
const sx_kernels *sx_choose(const char *want);

// The first instruction set that the compiler was told it may use everywhere
// (-march) and that this machine lacks, or NULL.
const char *sx_missing(void);

void *sx_alloc(size_t bytes);
void sx_release(void *p);

// Packs rows of a weight matrix, given in one of the element types, into w
// starting at output row n0. With transposed set, src is [k][n] instead of
// [n][k]. Returns 0, or -1 on a type it does not know.
int sx_pack(sx_matrix *w, int n0, int n, const void *src, int type, int transposed);
void sx_widen(float *dst, const void *src, int64_t n, int type);

#endif
