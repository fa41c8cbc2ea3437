//go:build engine && cgo

#include "kernels.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

const sx_kernels *sx_choose(const char *want) {
    int any = !want || !*want;
#if defined(__x86_64__)
    __builtin_cpu_init();
    int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2");
    int avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                 __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (avx512 && (any || !strcmp(want, "avx512"))) return &sx_kernels_avx512;
    if (avx2 && (any || !strcmp(want, "avx2"))) return &sx_kernels_avx2;
#endif
    if (any || !strcmp(want, "generic")) return &sx_kernels_generic;
    return NULL;
}

const char *sx_missing(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
#ifdef __AVX512F__
    if (!__builtin_cpu_supports("avx512f")) return "AVX-512";
#endif
#ifdef __AVX2__
    if (!__builtin_cpu_supports("avx2")) return "AVX2";
#endif
#ifdef __FMA__
    if (!__builtin_cpu_supports("fma")) return "FMA";
#endif
#ifdef __AVX__
    if (!__builtin_cpu_supports("avx")) return "AVX";
#endif
#endif
    return NULL;
}

void *sx_alloc(size_t bytes) {
    void *p = NULL;
    if (posix_memalign(&p, 64, bytes ? bytes : 64)) return NULL;
    return p;
}

void sx_release(void *p) { free(p); }

static inline float half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = (h >> 10) & 31, m = h & 0x3ff, u;
    if (e == 31) {
        u = sign | 0x7f800000 | m << 13;
    } else if (e) {
        u = sign | (e + 112) << 23 | m << 13;
    } else { // zero or subnormal: m * 2^-24
        float f = (float)m * 5.9604644775390625e-8f;
        memcpy(&u, &f, 4);
        u |= sign;
    }
    float f;
    memcpy(&f, &u, 4);
    return f;
}

static inline float brain(uint16_t h) {
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}

void sx_widen(float *dst, const void *src, int64_t n, int type) {
    const uint16_t *h = src;
    switch (type) {
    case SX_F32: memcpy(dst, src, n * sizeof(float)); break;
    case SX_F16: for (int64_t i = 0; i < n; i++) dst[i] = half(h[i]); break;
    case SX_BF16: for (int64_t i = 0; i < n; i++) dst[i] = brain(h[i]); break;
    }
}

int sx_pack(sx_matrix *w, int n0, int n, const void *src, int type, int transposed) {
    const int nr = w->nr, k = w->k, size = type == SX_F32 ? 4 : 2;
    if (type < SX_F32 || type > SX_BF16) return -1;
    float row[1024];
    if (transposed) {
        for (int c = 0; c < k; c++)
            for (int i = 0; i < n; i += 1024) {
                const int len = n - i < 1024 ? n - i : 1024;
                sx_widen(row, (const char *)src + ((size_t)c * n + i) * size, len, type);
                for (int j = 0; j < len; j++) {
                    const int r = n0 + i + j;
                    w->w[((size_t)(r / nr) * k + c) * nr + r % nr] = row[j];
                }
            }
        return 0;
    }
    // A whole panel at a time and few columns, so that the lines written to
    // stay in the first cache.
    enum { C = 64 };
    for (int i = 0; i < n;) {
        const int r = n0 + i, lane = r % nr, len = n - i < nr - lane ? n - i : nr - lane;
        float *panel = w->w + (size_t)(r / nr) * k * nr;
        for (int c = 0; c < k; c += C) {
            const int cc = k - c < C ? k - c : C;
            for (int j = 0; j < len; j++) {
                sx_widen(row, (const char *)src + ((size_t)(i + j) * k + c) * size, cc, type);
                for (int x = 0; x < cc; x++) panel[(size_t)(c + x) * nr + lane + j] = row[x];
            }
        }
        i += len;
    }
    return 0;
}
