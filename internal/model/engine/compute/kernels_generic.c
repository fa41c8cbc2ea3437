//go:build engine && cgo

// Kernels for any machine, in the compilers' own vectors of four floats.
// Without fused multiply-add in the baseline instruction set (x86-64) the last
// bits differ from the other sets.
#include "kernels.h"
#include <math.h>

#define SX(name) name##_generic
#define SX_NAME "generic"
#define TGT
#if defined(__aarch64__)
#define MR 6
#else
#define MR 2
#endif
#define NV 1

typedef float f4 __attribute__((vector_size(16)));
typedef int32_t i4 __attribute__((vector_size(16)));
typedef f4 f4u __attribute__((aligned(4), may_alias));
typedef struct { f4 a, b, c, d; } v16;
#define V v16
#define F static inline __attribute__((always_inline)) v16
#define EACH(op) return (v16){op(a), op(b), op(c), op(d)}
F VLOAD(const float *p) { const f4u *q = (const f4u *)p; return (v16){q[0], q[1], q[2], q[3]}; }
static inline __attribute__((always_inline)) void VSTORE(float *p, v16 x) { f4u *q = (f4u *)p; q[0] = x.a; q[1] = x.b; q[2] = x.c; q[3] = x.d; }
F VSET1(float s) { f4 v = {s, s, s, s}; return (v16){v, v, v, v}; }
#define OP(m) x.m + y.m
F VADD(v16 x, v16 y) { EACH(OP); }
#undef OP
#define OP(m) x.m - y.m
F VSUB(v16 x, v16 y) { EACH(OP); }
#undef OP
#define OP(m) x.m * y.m
F VMUL(v16 x, v16 y) { EACH(OP); }
#undef OP
#define SEL(c, s, t) (f4)(((c) & (i4)(s)) | (~(c) & (i4)(t)))
#define OP(m) SEL(x.m > y.m, x.m, y.m)
F VMAX(v16 x, v16 y) { EACH(OP); }
#undef OP
#define OP(m) x.m * y.m + z.m
F VFMA(v16 x, v16 y, v16 z) { EACH(OP); }
#undef OP
// to nearest, for numbers below 2^22
#define OP(m) (x.m + 12582912.0f) - 12582912.0f
F VROUND(v16 x) { EACH(OP); }
#undef OP
#define OP(m) (f4)((i4)x.m + (__builtin_convertvector(n.m, i4) << 23))
F VEXP2I(v16 x, v16 n) { EACH(OP); }
#undef OP
#define OP(m) (f4)((i4)v.m & ~(x.m < lo.m))
F VKEEPGE(v16 v, v16 x, v16 lo) { EACH(OP); }
#undef OP

#include "kernels_body.h"
