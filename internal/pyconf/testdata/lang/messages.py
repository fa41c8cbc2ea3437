# What calls, augmented assignments and methods say when they fail, and what they leave behind.
from functools import reduce

out = []
L = [3, 1, 2]
D = {'a': 1}
S = {1}


def t(f, *args):
    try:
        out.append(repr(f(*args)))
    except Exception as e:
        out.append([type(e).__name__, str(e), repr(e)])


def aug(op, a, b):
    try:
        if op == '+':
            a += b
        elif op == '*':
            a *= b
        elif op == '**':
            a **= b
        elif op == '<<':
            a <<= b
        elif op == '|':
            a |= b
        elif op == '-':
            a -= b
        else:
            a //= b
        out.append(repr(a))
    except Exception as e:
        out.append([op, type(e).__name__, str(e)])


for op in ('+', '*', '**', '<<', '|', '-', '//'):
    for a in (1, 'a', [1], {'a': 1}, (1,), None):
        for b in (2, 'b', [[1, 2]], {'b': 2}, None):
            aug(op, a, b)


def f1(a, b=2):
    def inner(x):
        return x
    t(inner)
    t(inner, 1, 2)
    t(lambda x: x)
    return a


def f2(a, /, b):
    return a


def f3(a, *, c=1):
    return a


t(f1, 1, 2, 3)
t(f1, 1)
t(lambda: f1(1, 2, 3, z=1))
t(lambda: f2(a=1, b=2))
t(lambda: f2(1, 2, 3))
t(lambda: f3(1, 2, c=3))
t(lambda: f3(1, 2, 3))
t(lambda: L.clear(1))
t(lambda: L.reverse(a=1))
t(lambda: L.sort(1))
t(lambda: L.insert(a=1))
t(lambda: D.clear(1))
t(lambda: D.pop(a=1))
t(lambda: dict(**{1: 2}, **{1: 3}))
t(lambda: dict(**{1: 2}))
t(lambda: 'a'.join(*5))
t(lambda: 'abc'.removesuffix(None))
t(lambda: 'abc'.replace('a', None))
t(lambda: reduce(lambda a, b: a, 5))
t(lambda: range(5).index('a'))
t(lambda: range(5).index(7))
t(lambda: sorted([1, 'a', None]))
t(lambda: sorted([1, 'a', None], reverse=True))
t(lambda: sorted([3, 2, 'a', None]))
t(lambda: hash(-1))
t(lambda: hash(2**61 - 2))
try:
    assert False
except AssertionError as e:
    out.append(repr(e))
try:
    L += (10 // x for x in (5, 2, 0, 1))
except ZeroDivisionError:
    pass
try:
    L[::2] = 5
except TypeError as e:
    out.append(str(e))
M = [1, 2, 3]
seen = []
for n in reversed(M):
    M[0] = n * 10
    seen.append(n)
