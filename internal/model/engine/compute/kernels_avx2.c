//go:build engine && cgo

// Kernels for AVX2 with FMA (Intel since 2013, AMD since 2015).
#if defined(__x86_64__)
#include "kernels.h"
#include <immintrin.h>

#define SX(name) name##_avx2
#define SX_NAME "avx2"
#define TGT __attribute__((target("avx2,fma,bmi2")))
#define MR 6
#define NV 1

typedef struct { __m256 a, b; } v16;
#define V v16
#define F static inline __attribute__((always_inline)) TGT v16
#define PAIR(x, y) (v16){x, y}
F VLOAD(const float *p) { return PAIR(_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)); }
TGT static inline __attribute__((always_inline)) void VSTORE(float *p, v16 v) { _mm256_storeu_ps(p, v.a); _mm256_storeu_ps(p + 8, v.b); }
F VSET1(float x) { __m256 v = _mm256_set1_ps(x); return PAIR(v, v); }
F VADD(v16 x, v16 y) { return PAIR(_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)); }
F VSUB(v16 x, v16 y) { return PAIR(_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)); }
F VMUL(v16 x, v16 y) { return PAIR(_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)); }
F VMAX(v16 x, v16 y) { return PAIR(_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)); }
F VFMA(v16 x, v16 y, v16 z) { return PAIR(_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)); }
F VROUND(v16 x) { return PAIR(_mm256_round_ps(x.a, 8), _mm256_round_ps(x.b, 8)); }
#define EXP2I(a, n) _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23)))
F VEXP2I(v16 x, v16 n) { return PAIR(EXP2I(x.a, n.a), EXP2I(x.b, n.b)); }
#define KEEPGE(a, x, lo) _mm256_and_ps(a, _mm256_cmp_ps(x, lo, _CMP_NLT_UQ))
F VKEEPGE(v16 v, v16 x, v16 lo) { return PAIR(KEEPGE(v.a, x.a, lo.a), KEEPGE(v.b, x.b, lo.b)); }

#include "kernels_body.h"
#endif
