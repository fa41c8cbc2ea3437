# Functions: parameters, closures, recursion, lambdas, generators.
from copy import deepcopy
from functools import partial, reduce
from itertools import chain, combinations, count, islice, permutations, product, repeat, zip_longest, accumulate, cycle, starmap
import torch


def f(a, b=2, *args, c, d=4, **kw):
    """Doc."""
    return [a, b, args, c, d, kw]


r1 = f(1, c=3)
r2 = f(1, 2, 3, 4, c=5, z=6)
r3 = f(*[1, 2], **{'c': 3, 'q': 4})
r4 = f(*'ab', *[1], c=0, **dict(d=1), **dict(e=2))


def pos(a, b=1, /, c=2):
    return (a, b, c)


r5 = [pos(1), pos(1, 2, c=3)]


def default(x=[]):
    x.append(len(x))
    return list(x)


r6 = [default(), default(), default([5])]


def outer():
    n = 0

    def inc(by=1):
        nonlocal n
        n += by
        return n
    return inc


inc = outer()
r7 = [inc(), inc(5), outer()()]
counter = 0


def bump():
    global counter
    counter += 1
    return counter


bump()
bump()
adders = [lambda x, i=i: x + i for i in range(3)]
late = [lambda: j for j in range(3)]
r8 = [g(10) for g in adders] + [g() for g in late]


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


r9 = fib(12)
r10 = (lambda *a, **k: (a, k))(1, b=2)
r11 = reduce(lambda a, b: a * b, [1, 2, 3, 4], 10)
r12 = partial(f, 1, c=9)(2, d=0)
r13 = f.__name__
r14 = f.__doc__
r15 = list(map(lambda x, y: x * y, [1, 2, 3], [4, 5]))
r16 = list(filter(None, [0, 1, '', 'a', [], [0]]))
r17 = list(filter(lambda x: x % 2, range(6)))
r18 = [list(chain([1], 'ab', (2,))), list(chain.from_iterable([[1], [2, 3]]))]
r19 = [list(product('ab', [1, 2])), list(product([0, 1], repeat=2)), list(product())]
r20 = [list(combinations('abc', 2)), list(permutations([1, 2, 3], 2)), list(permutations('ab'))]
r21 = [list(islice(count(5, 2), 3)), list(islice('abcdef', 1, None, 2)), list(repeat('x', 2)), list(islice(cycle('ab'), 5))]
r22 = [list(zip_longest([1, 2], 'a', fillvalue='-')), list(accumulate([1, 2, 3])), list(accumulate([1, 2], lambda a, b: a * 10 + b, initial=7)),
       list(starmap(pow, [(2, 3), (3, 2)]))]
gen = (n * n for n in range(5))
r23 = [next(gen), next(gen), list(gen), next(gen, 'over')]
r24 = next((k for k in 'xyz' if k > 'x'), None)
it = iter([1, 2, 3])
r25 = [next(it), list(it)]
r26 = [any(x > 2 for x in [1, 2, 3]), all(x > 0 for x in []), any([])]
shared = [1]
r27 = deepcopy([shared, shared])
r27[0].append(2)
r28 = [(x, y) for x in range(3) for y in range(x) if (x + y) % 2]
r29 = {x: [y for y in range(x)] for x in range(3)}
r30 = sorted({c for c in 'hello'})
r31 = [last := 1, last + 1]
r32 = [(t := v * 2) for v in [1, 2]]
r33 = t


def scopes():
    x = 1
    ys = [x + z for z in range(2)]
    return sorted(locals().keys()), ys


r34 = scopes()
r35 = [callable(f), callable(3), isinstance(f, (int, type(lambda: 0)))]
r36 = sorted([3, 1, 2], key=lambda v: -v)
r37 = max(['aa', 'b'], key=len), min([3, 1], key=lambda v: -v), max(1, 5, 2), min('ba')
r38 = [i for i, v in enumerate('abc', start=1) if v != 'b']
r39 = list(zip([1, 2], 'ab', (True, None)))
r40 = [*range(3), *'ab', *{'k': 1}]
r41 = {**{'a': 1}, 'a': 2, **{'b': 3}}
r42 = (lambda: (yield_ := 3) + yield_)()
r43 = torch.nn.Linear
def unused(n=5): return n if n else unused()
