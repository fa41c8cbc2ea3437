//go:build engine && cgo

// Kernels for AVX-512 (F, VL, DQ, BW: every server CPU since 2017 that has any).
#if defined(__x86_64__)
#include "kernels.h"
#include <immintrin.h>

#define SX(name) name##_avx512
#define SX_NAME "avx512"
#define TGT __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,avx2,fma,bmi2")))
#define MR 14
#define NV 2
#define V __m512
#define VLOAD(p) _mm512_loadu_ps(p)
#define VSTORE(p, v) _mm512_storeu_ps(p, v)
#define VSET1(x) _mm512_set1_ps(x)
#define VADD(a, b) _mm512_add_ps(a, b)
#define VSUB(a, b) _mm512_sub_ps(a, b)
#define VMUL(a, b) _mm512_mul_ps(a, b)
#define VMAX(a, b) _mm512_max_ps(a, b)
#define VFMA(a, b, c) _mm512_fmadd_ps(a, b, c)
#define VROUND(a) _mm512_roundscale_ps(a, 8)
#define VEXP2I(a, n) _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_slli_epi32(_mm512_cvtps_epi32(n), 23)))
#define VKEEPGE(a, x, lo) _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(x, lo, _CMP_NLT_UQ), a)

#include "kernels_body.h"
#endif
