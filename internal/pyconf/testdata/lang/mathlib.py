# Functions of math that sum, measure and interpolate, and their errors.
import math

out = []


def t(f):
    try:
        out.append(repr(f()))
    except Exception as e:
        out.append([type(e).__name__, str(e)])


inf, nan = float('inf'), float('nan')
xs = [0.0, -0.0, 1, 2, 3.5, 10, 23, 24, 0.1, 1.5, 4.99, 5.0, 30.25, 139.75, 140.5, 170, 171.5, 171.7, 250, -0.5, -1, -1.5, -20.25, -170.5, -181.5, -201.5,
      1e-21, -1e-21, 1e-310, 1e300, 1.7e308, True, 10**30, inf, -inf, nan, 'a', None]
for f in (math.gamma, math.lgamma):
    for x in xs:
        t(lambda: f(x))
t(lambda: math.gamma())
t(lambda: math.gamma(1, 2))
for x in ([], [-0.0], [0.1] * 10, [1e16, 1, 1e-16], [1e308, 1e308], [1e308, 1e308, -1e308, -1e308], [inf, 1e308, 1e308], [inf, 1], [inf, -inf], [nan, inf, -inf], [nan, 1],
          [1, 'a'], [True, 10**20], [10**400], (i / 7 for i in range(100)), 5, [1e-320, 5e-324, -1e-320], [1.0, 2**-53, 2**-106], [1.0, -(2**-54), -(2**-120)]):
    t(lambda: math.fsum(x))
t(lambda: math.dist([1, 2], [4, 6]))
t(lambda: math.dist((1, 2, 3), (4.5, 6, inf)))
t(lambda: math.dist([], []))
t(lambda: math.dist([-1], [2]))
t(lambda: math.dist([1], [1, 2]))
t(lambda: math.dist([1], ['a']))
t(lambda: math.dist([1]))
t(lambda: math.hypot(-3, 4))
t(lambda: math.hypot(-3))
t(lambda: math.hypot(1, -inf, nan))
t(lambda: math.hypot(1, 2, nan))
t(lambda: math.prod([2, 3]))
t(lambda: math.prod([2, 3], start=0.5))
t(lambda: math.prod([2, 3], begin=0.5))
t(lambda: math.isclose(1, 1 + 1e-10))
t(lambda: math.isclose(1, 1.1, rel_tol=0.2))
t(lambda: math.isclose(0, 1e-10, abs_tol=1e-9))
t(lambda: math.isclose(1, 1, rel_tol=-1))
t(lambda: math.isclose(1, 1, abs_tol=-0.5))
t(lambda: math.isclose(1, 1, tol=1))
t(lambda: math.isclose(inf, inf))
t(lambda: math.isclose(inf, 1))
t(lambda: math.isclose(nan, nan))
