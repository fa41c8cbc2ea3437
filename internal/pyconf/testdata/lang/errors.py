# What operations raise, with CPython's messages.
import json
import math
import torch
from functools import reduce, partial
from itertools import product, islice
import os.path as osp

out = []


def t(f):
    try:
        out.append(f())
    except Exception as e:
        out.append([type(e).__name__, str(e)])


def two(a, b, c=1):
    return a


def kwonly(*, a, b):
    return a


t(lambda: two())
t(lambda: two(1))
t(lambda: two(1, 2, 3, 4))
t(lambda: two(1, 2, d=3))
t(lambda: two(1, 2, a=3))
t(lambda: two(1, **{'a': 2, 'b': 3}))
t(lambda: two(*5))
t(lambda: two(**5))
t(lambda: two(1, b=2, **{'b': 3}))
t(lambda: kwonly(1, 2))
t(lambda: kwonly())
t(lambda: kwonly(a=1))
t(lambda: 1 + 'a')
t(lambda: 'a' + 1)
t(lambda: [] + ())
t(lambda: {} + {})
t(lambda: None + 1)
t(lambda: 'a' * 'b')
t(lambda: 'a' - 'b')
t(lambda: [1] * 1.5)
t(lambda: 1 / 0)
t(lambda: 1 // 0)
t(lambda: 1 % 0)
t(lambda: 1.0 / 0)
t(lambda: 1.0 % 0)
t(lambda: 0 ** -1)
t(lambda: 1 << -1)
t(lambda: -'a')
t(lambda: ~1.5)
t(lambda: 1 < 'a')
t(lambda: [1] < [None])
t(lambda: {} < {})
t(lambda: 1 in 1)
t(lambda: 1 in 'abc')
t(lambda: len(1))
t(lambda: [][0])
t(lambda: (1,)[5])
t(lambda: 'abc'[9])
t(lambda: 'abc'['a'])
t(lambda: [1]['a'])
t(lambda: [1][1.0])
t(lambda: {}['k'])
t(lambda: {}[1])
t(lambda: {}[[]])
t(lambda: 5[0])
t(lambda: None['x'])
t(lambda: None.x)
t(lambda: (1).foo)
t(lambda: 'a'.foo)
t(lambda: [].foo)
t(lambda: {}.foo)
t(lambda: math.sqrt(-1))
t(lambda: math.sqrt('a'))
t(lambda: math.log(0))
t(lambda: math.exp(1000))
t(lambda: int('x'))
t(lambda: int('1.5'))
t(lambda: int([]))
t(lambda: int(None))
t(lambda: int('z', 10))
t(lambda: int(float('nan')))
t(lambda: int(float('inf')))
t(lambda: float('x'))
t(lambda: float([]))
t(lambda: chr(-1))
t(lambda: ord('ab'))
t(lambda: ord(1))
t(lambda: abs('a'))
t(lambda: round('a'))
t(lambda: sum(['a']))
t(lambda: sum([1, 'a']))
t(lambda: sum(['a'], ''))
t(lambda: sum(1))
t(lambda: max([]))
t(lambda: max(1))
t(lambda: max([1, 'a']))
t(lambda: min())
t(lambda: sorted([1, 'a']))
t(lambda: sorted(1))
t(lambda: list(1))
t(lambda: tuple(None))
t(lambda: dict(1))
t(lambda: dict([1]))
t(lambda: dict([[1]]))
t(lambda: dict([1, 2], 3))
t(lambda: dict('ab'))
t(lambda: set([[]]))
t(lambda: {[]: 1})
t(lambda: {{}})
t(lambda: range(1.5))
t(lambda: range(0, 1, 0))
t(lambda: range())
t(lambda: zip(1))
t(lambda: list(zip([1], [1, 2], strict=True)))
t(lambda: enumerate(1))
t(lambda: list(map(5, [1])))
t(lambda: next([]))
t(lambda: next(iter([])))
t(lambda: iter(5))
t(lambda: isinstance(1, 1))
t(lambda: 'a'.join([1]))
t(lambda: 'a'.join(1))
t(lambda: 'a'.split(''))
t(lambda: 'abc'.index('z'))
t(lambda: [1].index(5))
t(lambda: [1].remove(5))
t(lambda: [].pop())
t(lambda: [1].pop(5))
t(lambda: {}.pop('x'))
t(lambda: {}.popitem())
t(lambda: [1].append())
t(lambda: [1].append(1, 2))
t(lambda: {}.update(5))
t(lambda: {}.update([5]))
t(lambda: {}.get())
t(lambda: '{}'.format())
t(lambda: '{a}'.format())
t(lambda: '{0} {}'.format(1, 2))
t(lambda: '{'.format())
t(lambda: '{!z}'.format(1))
t(lambda: '{:d}'.format('a'))
t(lambda: '%d' % 'a')
t(lambda: '%s %s' % 'a')
t(lambda: '%s' % ('a', 'b'))
t(lambda: '%(a)s' % {})
t(lambda: '%z' % 1)
t(lambda: f'{1:z}')
t(lambda: f'{"a":d}')
t(lambda: f'{[]:>5}')
t(lambda: f'{None:>5}')
t(lambda: json.loads('{'))
t(lambda: json.loads('[1,]'))
t(lambda: json.dumps({1, 2}))
t(lambda: undefined_thing)
t(lambda: 5())
t(lambda: 'a'())
t(lambda: [1]())
t(lambda: None())
t(lambda: reduce(lambda a, b: a, []))
t(lambda: osp.join(1))
t(lambda: osp.join('a', 1))
t(lambda: 'a'.encode('nope'))
t(lambda: b'\xff'.decode())
t(lambda: bytes([300]))
t(lambda: 'abc'.startswith(1))
t(lambda: 'x'.replace('a'))
t(lambda: getattr(5, 'zz'))
t(lambda: divmod(1, 0))
t(lambda: pow(2, -1, 4))
t(lambda: hex('a'))
t(lambda: frozenset([1]).add(2))


def bad_unpack1():
    a, b = 1, 2, 3


def bad_unpack2():
    a, b, c = [1]


def bad_unpack3():
    a, *b, c = [1]


def bad_unpack4():
    a, b = 5


def bad_unpack5():
    for a, b in [1]:
        pass


def unbound():
    x = y_later
    y_later = 1


def unbound2():
    def inner():
        return zz
    inner()
    zz = 1


def item_assign():
    'abc'[0] = 'x'


def item_assign2():
    (1, 2)[0] = 1


def item_assign3():
    [1][5] = 1


def item_del():
    del {}['a']


def item_del2():
    del [1][3]


def item_del3():
    del (1,)[0]


def attr_assign():
    [].x = 1


def raise_str():
    raise 'x'


def bare_raise():
    raise


def changed():
    d = {1: 1}
    for k in d:
        d[2] = 2


def ext_slice():
    x = [1, 2, 3]
    x[::2] = [1]


def slice_assign():
    x = [1]
    x[0:1] = 5


def not_ctx():
    with 5 as x:
        pass


def deep(n):
    return deep(n + 1)


def del_local():
    q = 1
    del q
    return q


def catch_bad():
    try:
        1 / 0
    except 5:
        pass


for fn in [bad_unpack1, bad_unpack2, bad_unpack3, bad_unpack4, bad_unpack5, unbound, unbound2, item_assign, item_assign2, item_assign3, item_del, item_del2, item_del3, attr_assign,
           raise_str, bare_raise, changed, ext_slice, slice_assign, del_local, catch_bad]:
    t(fn)
try:
    deep(0)
except RecursionError as e:
    out.append('recursion')
