# Functions of math, itertools and re beside the usual ones, and unions of types.
import itertools
import math
import re

out = []


def t(f):
    try:
        out.append(repr(f()))
    except Exception as e:
        out.append([type(e).__name__, str(e)])


xs = [-2.5, 0.1, 0.7, 1, 3, 9, 1e-9, 12345.678]
for f in (math.exp, math.expm1, math.sin, math.cos, math.tan, math.atan, math.sinh, math.cosh, math.tanh, math.asinh, math.log1p, math.ulp, math.frexp, math.modf):
    for x in xs:
        t(lambda: f(x))
for f in (math.log, math.log2, math.log10, math.sqrt, math.acosh, math.asin, math.acos, math.atanh, math.factorial, math.isqrt, math.trunc, math.floor):
    for x in [0, 1, 2, 9, 0.3, -1, 10**400, 'a', True]:
        t(lambda: f(x))
for f in (math.atan2, math.hypot, math.pow, math.fmod, math.remainder, math.copysign, math.nextafter, math.comb, math.perm, math.gcd, math.lcm, math.ldexp):
    for a in [0, 7, -3, 2.5, 10**20]:
        for b in [0, 2, -4, 0.5]:
            t(lambda: f(a, b))
t(lambda: math.lcm())
t(lambda: math.gcd())
t(lambda: math.perm(5))
t(lambda: math.hypot(1, 2, 3))
t(lambda: math.fsum([1, 'a']))
t(lambda: math.fsum([float('inf'), float('-inf')]))
t(lambda: list(itertools.takewhile(lambda x: x < 3, [1, 2, 3, 1])))
t(lambda: list(itertools.dropwhile(lambda x: x < 3, [1, 2, 3, 1])))
t(lambda: list(itertools.filterfalse(None, [0, 1, '', 'a'])))
t(lambda: list(itertools.compress('abcd', [1, 0, True])))
t(lambda: list(itertools.pairwise('abcd')))
t(lambda: [(k, list(g)) for k, g in itertools.groupby('aabccc')])
t(lambda: [(k, list(g)) for k, g in itertools.groupby([1, 3, 2, 4, 5], key=lambda x: x % 2)])
t(lambda: [k for k, g in itertools.groupby([1, 1.0, True, 2])])
t(lambda: re.sub('x', r'\2', 'abc'))
t(lambda: re.match('a', b'a'))
t(lambda: isinstance(1, int | str))
t(lambda: isinstance(None, int | None))
t(lambda: isinstance([], int | str))
t(lambda: int | str | None)
t(lambda: int | 1)
t(lambda: [*1])
t(lambda: (*1, 2))
t(lambda: {*1})
