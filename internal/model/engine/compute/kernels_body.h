// The kernels, written once in terms of a vector of 16 floats and compiled
// for each instruction set. The including file defines
//
//   SX(name)            name with the suffix of the instruction set
//   TGT                 function attribute that selects the instruction set
//   V                   the vector type: 16 floats in one or more registers
//   VLOAD VSTORE VSET1 VADD VSUB VMUL VMAX VFMA VEXP2I VROUND
//   MR, NV              register tile: MR rows, NV vectors
//
// Sums run in the same order in every set: over k one fused multiply-add
// after the other in blocks of SX_KC, across vectors lane by lane and then a
// fixed tree. So the sets with fused multiply-add agree to the bit, and a row
// does not depend on the rows beside it.

#include <math.h>
#include <string.h>

#define NR (NV * 16)
#define INLINE static inline __attribute__((always_inline)) TGT

// exp(x) to about 1 ulp for x in [-87.3, 88], 0 below.
INLINE V SX(vexp)(V x) {
    V lo = VSET1(-87.3f);
    V cx = VMAX(x, lo);
    V n = VROUND(VMUL(cx, VSET1(1.44269504088896341f)));
    V r = VFMA(n, VSET1(-0.693359375f), cx);
    r = VFMA(n, VSET1(2.12194440e-4f), r);
    V p = VSET1(1.9875691500e-4f);
    p = VFMA(p, r, VSET1(1.3981999507e-3f));
    p = VFMA(p, r, VSET1(8.3334519073e-3f));
    p = VFMA(p, r, VSET1(4.1665795894e-2f));
    p = VFMA(p, r, VSET1(1.6666665459e-1f));
    p = VFMA(p, r, VSET1(5.0000001201e-1f));
    V r2 = VMUL(r, r);
    p = VADD(VFMA(p, r2, r), VSET1(1.0f));
    return VKEEPGE(VEXP2I(p, n), x, lo);
}

INLINE float SX(hmax)(V v) {
    float t[16];
    VSTORE(t, v);
    for (int s = 8; s; s >>= 1)
        for (int i = 0; i < s; i++) t[i] = t[i] > t[i + s] ? t[i] : t[i + s];
    return t[0];
}

INLINE float SX(hsum)(V v) {
    float t[16];
    VSTORE(t, v);
    for (int s = 8; s; s >>= 1)
        for (int i = 0; i < s; i++) t[i] += t[i + s];
    return t[0];
}

TGT static void SX(lse)(const float *t, int n, float *max, double *sum) {
    int i;
    float m = *max;
    if (n >= 16) {
        V mx = VLOAD(t);
        for (i = 16; i + 16 <= n; i += 16) mx = VMAX(mx, VLOAD(t + i));
        float h = SX(hmax)(mx);
        if (h > m) m = h;
    }
    for (i = n & ~15; i < n; i++)
        if (t[i] > m) m = t[i];
    V vm = VSET1(m), s = VSET1(0.0f);
    for (i = 0; i + 16 <= n; i += 16) s = VADD(s, SX(vexp)(VSUB(VLOAD(t + i), vm)));
    if (i < n) {
        float r[16];
        for (int j = 0; j < 16; j++) r[j] = i + j < n ? t[i + j] - m : -1000.0f;
        s = VADD(s, SX(vexp)(VLOAD(r)));
    }
    *sum = *sum * exp((double)*max - (double)m) + (double)SX(hsum)(s);
    *max = m;
}

TGT static void SX(act)(float *x, int n, int act) {
    switch (act) {
    case SX_ACT_RELU:
        for (int i = 0; i < n; i++) x[i] = x[i] > 0 ? x[i] : 0;
        break;
    case SX_ACT_GELU:
        for (int i = 0; i < n; i++) x[i] = 0.5f * x[i] * (1.0f + erff(x[i] * 0.70710678118654752440f));
        break;
    case SX_ACT_GELU_TANH:
        for (int i = 0; i < n; i++)
            x[i] = 0.5f * x[i] * (1.0f + tanhf(0.79788456080286535588f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
        break;
    case SX_ACT_SILU:
        for (int i = 0; i < n; i++) x[i] = x[i] / (1.0f + expf(-x[i]));
        break;
    }
}

// ---- matrix product ----

// One register tile: c[mr][NR] (+)= a * b over kc columns. a is packed
// [mr][SX_LDA], b [kc][NR]. first: c is not read. With fin set the tile is finished: bias,
// relu and residual.
INLINE void SX(tile)(const int mr, float *c, int64_t ldc, const float *a, const float *b, int kc, int first, int fin,
                     const float *bias, int relu, const float *res, int64_t ldr) {
    V acc[MR][NV];
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) acc[i][v] = VSET1(0.0f);
    for (int k = 0; k < kc; k++) {
        V bv[NV];
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) bv[v] = VLOAD(b + 16 * v);
#pragma GCC unroll 16
        for (int i = 0; i < mr; i++) {
            V av = VSET1(a[i * SX_LDA + k]);
#pragma GCC unroll 4
            for (int v = 0; v < NV; v++) acc[i][v] = VFMA(av, bv[v], acc[i][v]);
        }
        b += NR;
    }
#pragma GCC unroll 16
    for (int i = 0; i < mr; i++)
#pragma GCC unroll 4
        for (int v = 0; v < NV; v++) {
            V t = acc[i][v];
            float *p = c + i * ldc + 16 * v;
            if (!first) t = VADD(VLOAD(p), t);
            if (fin) {
                if (bias) t = VADD(t, VLOAD(bias + 16 * v));
                if (relu) t = VMAX(t, VSET1(0.0f));
                if (res) t = VADD(t, VLOAD(res + i * ldr + 16 * v));
            }
            VSTORE(p, t);
        }
}

#define TILE_CASE(n)                                                                                                   \
    case n:                                                                                                            \
        SX(tile)(n, c, ldc, a, b, kc, first, fin, bias, relu, res, ldr);                                               \
        break;

TGT static void SX(tiles)(int mr, float *c, int64_t ldc, const float *a, const float *b, int kc, int first, int fin,
                          const float *bias, int relu, const float *res, int64_t ldr) {
    switch (mr) {
        TILE_CASE(1)
        TILE_CASE(2)
#if MR >= 6
        TILE_CASE(3)
        TILE_CASE(4)
        TILE_CASE(5)
        TILE_CASE(6)
#endif
#if MR >= 12
        TILE_CASE(7)
        TILE_CASE(8)
        TILE_CASE(9)
        TILE_CASE(10)
        TILE_CASE(11)
        TILE_CASE(12)
#endif
#if MR >= 14
        TILE_CASE(13)
        TILE_CASE(14)
#endif
    }
}

TGT static void SX(gemm)(float *y, int64_t ldy, const float *x, int64_t ldx, int m, const sx_matrix *w, int p0, int p1,
                         int act, const float *res, int64_t ldr, float *scratch) {
    const int K = w->k;
    float *pa = scratch, *edge = scratch + SX_MC * SX_LDA; // edge: one tile, for the last columns
    for (int i0 = 0; i0 < m; i0 += SX_MC) {
        const int mc = m - i0 < SX_MC ? m - i0 : SX_MC;
        for (int k0 = 0; k0 < K; k0 += SX_KC) {
            const int kc = K - k0 < SX_KC ? K - k0 : SX_KC;
            const int first = k0 == 0, fin = k0 + kc == K;
            // the rows of x at a stride that spreads them over the cache
            for (int i = 0; i < mc; i++) memcpy(pa + (size_t)i * SX_LDA, x + (i0 + i) * ldx + k0, kc * sizeof(float));
            for (int p = p0; p < p1; p++) {
                const float *b = w->w + ((size_t)p * K + k0) * NR;
                const float *bias = w->bias ? w->bias + (size_t)p * NR : NULL;
                const int64_t col = (int64_t)(p - p0) * NR;
                const int width = w->n - p * NR < NR ? w->n - p * NR : NR;
                for (int i = 0; i < mc; i += MR) {
                    const int mr = mc - i < MR ? mc - i : MR;
                    float *c = y + (i0 + i) * ldy + col;
                    const float *rs = res ? res + (i0 + i) * ldr + col : NULL;
                    const float *a = pa + (size_t)i * SX_LDA;
                    if (width == NR) {
                        SX(tiles)(mr, c, ldy, a, b, kc, first, fin, bias, act == SX_ACT_RELU, act > SX_ACT_RELU ? NULL : rs, ldr);
                    } else {
                        for (int r = 0; r < mr && !first; r++) memcpy(edge + r * NR, c + r * ldy, width * sizeof(float));
                        SX(tiles)(mr, edge, NR, a, b, kc, first, fin, bias, act == SX_ACT_RELU, NULL, 0);
                        for (int r = 0; r < mr; r++) {
                            if (fin && rs && act <= SX_ACT_RELU)
                                for (int j = 0; j < width; j++) edge[r * NR + j] += rs[r * ldr + j];
                            memcpy(c + r * ldy, edge + r * NR, width * sizeof(float));
                        }
                    }
                    if (fin && act > SX_ACT_RELU)
                        for (int r = 0; r < mr; r++) {
                            SX(act)(c + r * ldy, width, act);
                            if (rs)
                                for (int j = 0; j < width; j++) c[r * ldy + j] += rs[r * ldr + j];
                        }
                }
            }
        }
    }
}

// ---- layer norm ----

TGT static void SX(layernorm)(float *y, const float *x, int n, const float *w, const float *b, float eps) {
    V s = VSET1(0.0f), q = VSET1(0.0f);
    float mean = 0, var = 0;
    int i;
    for (i = 0; i + 16 <= n; i += 16) s = VADD(s, VLOAD(x + i));
    for (; i < n; i++) mean += x[i];
    mean = (mean + SX(hsum)(s)) / n;
    const V m = VSET1(mean);
    for (i = 0; i + 16 <= n; i += 16) {
        V d = VSUB(VLOAD(x + i), m);
        q = VFMA(d, d, q);
    }
    for (; i < n; i++) var += (x[i] - mean) * (x[i] - mean);
    var = (var + SX(hsum)(q)) / n;
    const float scale = 1.0f / sqrtf(var + eps);
    const V sv = VSET1(scale);
    for (i = 0; i + 16 <= n; i += 16) {
        V t = VMUL(VSUB(VLOAD(x + i), m), sv);
        if (w) t = VMUL(t, VLOAD(w + i));
        if (b) t = VADD(t, VLOAD(b + i));
        VSTORE(y + i, t);
    }
    for (; i < n; i++) y[i] = (x[i] - mean) * scale * (w ? w[i] : 1) + (b ? b[i] : 0);
}

// ---- attention ----

// Scores of nq queries against the keys of one run, 16 keys at a time. Reads
// up to 15 columns beyond the run (the buffers have room) and writes as many.
INLINE void SX(scores)(const int nq, float *s, int64_t lds, const float *q, int64_t ldq, int hd, const sx_run *r) {
    for (int j = 0; j < r->len; j += 16) {
        V acc[SX_MAXQ];
#pragma GCC unroll 4
        for (int i = 0; i < nq; i++) acc[i] = VSET1(0.0f);
        const float *k = r->kt + j;
        for (int d = 0; d < hd; d++, k += r->ldk) {
            V kv = VLOAD(k);
#pragma GCC unroll 4
            for (int i = 0; i < nq; i++) acc[i] = VFMA(VSET1(q[i * ldq + d]), kv, acc[i]);
        }
#pragma GCC unroll 4
        for (int i = 0; i < nq; i++) VSTORE(s + i * lds + j, acc[i]);
    }
}

// Adds the values of one run, weighted by p, to acc[nq][nv] for nv vectors of
// features.
INLINE void SX(values)(const int nq, const int nv, V acc[SX_MAXQ][4], const float *p, int64_t ldp, const float *v, int64_t ldv, int len) {
    for (int j = 0; j < len; j++, v += ldv) {
#pragma GCC unroll 4
        for (int c = 0; c < nv; c++) {
            V x = VLOAD(v + 16 * c);
#pragma GCC unroll 4
            for (int i = 0; i < nq; i++) acc[i][c] = VFMA(VSET1(p[i * ldp + j]), x, acc[i][c]);
        }
    }
}

INLINE void SX(gather)(const int nq, const int nv, float *out, int64_t ldo, int d, const sx_run *runs, int nruns,
                       const float *p, int64_t ldp, const float *norm) {
    V acc[SX_MAXQ][4];
#pragma GCC unroll 4
    for (int i = 0; i < nq; i++)
#pragma GCC unroll 4
        for (int c = 0; c < nv; c++) acc[i][c] = VSET1(0.0f);
    int at = 0;
    for (int r = 0; r < nruns; r++) {
        SX(values)(nq, nv, acc, p + at, ldp, runs[r].v + d, runs[r].ldv, runs[r].len);
        at += runs[r].len;
    }
#pragma GCC unroll 4
    for (int i = 0; i < nq; i++)
#pragma GCC unroll 4
        for (int c = 0; c < nv; c++) VSTORE(out + i * ldo + d + 16 * c, VMUL(acc[i][c], VSET1(norm[i])));
}

INLINE void SX(attendn)(const int nq, float *out, int64_t ldo, const float *q, int64_t ldq, int hd, const sx_run *runs,
                        int nruns, int total, float scale, float *s) {
    const int64_t lds = ((total + 15) & ~15) + 16;
    float norm[SX_MAXQ];
    int at = 0;
    for (int r = 0; r < nruns; r++) {
        SX(scores)(nq, s + at, lds, q, ldq, hd, &runs[r]);
        at += runs[r].len;
    }
    for (int i = 0; i < nq; i++) {
        float *p = s + i * lds;
        const int n = total - (nq - 1) + i, np = (n + 15) & ~15;
        for (int j = n; j < np; j++) p[j] = -3e38f;
        V mx = VLOAD(p);
        for (int j = 16; j < np; j += 16) mx = VMAX(mx, VLOAD(p + j));
        const V m = VSET1(SX(hmax)(mx)), sc = VSET1(scale);
        V sum = VSET1(0.0f);
        for (int j = 0; j < np; j += 16) {
            V e = SX(vexp)(VMUL(VSUB(VLOAD(p + j), m), sc));
            VSTORE(p + j, e);
            sum = VADD(sum, e);
        }
        for (int j = np; j < total; j++) p[j] = 0; // keys after this query
        norm[i] = 1.0f / SX(hsum)(sum);
    }
    int d = 0;
    for (; d + 64 <= hd; d += 64) SX(gather)(nq, 4, out, ldo, d, runs, nruns, s, lds, norm);
    for (; d + 16 <= hd; d += 16) SX(gather)(nq, 1, out, ldo, d, runs, nruns, s, lds, norm);
    for (; d < hd; d++)
        for (int i = 0; i < nq; i++) {
            float a = 0;
            const float *p = s + i * lds;
            for (int r = 0; r < nruns; r++)
                for (int j = 0; j < runs[r].len; j++) a = fmaf(*p++, runs[r].v[j * runs[r].ldv + d], a);
            out[i * ldo + d] = a * norm[i];
        }
}

TGT static void SX(attend)(float *out, int64_t ldo, const float *q, int64_t ldq, int nq, int hd, const sx_run *runs,
                           int nruns, int total, float scale, float *s) {
    switch (nq) {
    case 1: SX(attendn)(1, out, ldo, q, ldq, hd, runs, nruns, total, scale, s); break;
    case 2: SX(attendn)(2, out, ldo, q, ldq, hd, runs, nruns, total, scale, s); break;
    case 3: SX(attendn)(3, out, ldo, q, ldq, hd, runs, nruns, total, scale, s); break;
    case 4: SX(attendn)(4, out, ldo, q, ldq, hd, runs, nruns, total, scale, s); break;
    }
}

const sx_kernels SX(sx_kernels) = {SX_NAME, MR, NR, SX(gemm), SX(lse), SX(attend), SX(layernorm)};
