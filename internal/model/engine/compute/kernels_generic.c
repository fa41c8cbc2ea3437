//go:build engine && cgo

// Kernels for any machine, left to the compiler's own vectors. Without fused
// multiply-add in the baseline instruction set (x86-64) its last bits differ
// from the other sets.
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

typedef struct { float f[16]; } v16;
#define V v16
#define F static inline __attribute__((always_inline)) v16
#define EACH(expr) v16 r; for (int i = 0; i < 16; i++) r.f[i] = expr; return r
F VLOAD(const float *p) { EACH(p[i]); }
static inline __attribute__((always_inline)) void VSTORE(float *p, v16 v) { for (int i = 0; i < 16; i++) p[i] = v.f[i]; }
F VSET1(float x) { EACH(x); }
F VADD(v16 x, v16 y) { EACH(x.f[i] + y.f[i]); }
F VSUB(v16 x, v16 y) { EACH(x.f[i] - y.f[i]); }
F VMUL(v16 x, v16 y) { EACH(x.f[i] * y.f[i]); }
F VMAX(v16 x, v16 y) { EACH(x.f[i] > y.f[i] ? x.f[i] : y.f[i]); }
F VFMA(v16 x, v16 y, v16 z) { EACH(x.f[i] * y.f[i] + z.f[i]); }
F VROUND(v16 x) { EACH(rintf(x.f[i])); }
F VEXP2I(v16 x, v16 n) { EACH(ldexpf(x.f[i], (int)n.f[i])); }
F VKEEPGE(v16 v, v16 x, v16 lo) { EACH(x.f[i] < lo.f[i] ? 0.0f : v.f[i]); }

#include "kernels_body.h"
