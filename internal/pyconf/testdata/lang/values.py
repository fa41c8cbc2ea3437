# Values: literals, formatting, methods.
import json
import math
import string
import textwrap
import torch

ints = [0, 1_000, 0xFF, 0o17, 0b101, 10**20, -5 // 2, -5 % 3, 7 // -2, 2**-1, 5 & 6, 5 | 6, 5 ^ 6, ~5, 1 << 70, -1 >> 1]
floats = [1., .5, 1e-6, 1e16, 1e22, 1.5e300 * 1e10, 0.1 + 0.2, 3.0, -0.0, 1 / 3, 2.5 // 1, -7.5 % 2, round(2.5), round(3.5), round(2.675, 2), round(1234.5, -2),
          float('inf'), -float('inf'), float('1e3'), int(3.9), int('-12'), int('ff', 16), float(' 2 ')]
strs = ['a' "b" 'c', 'it\'s', "q\"", '''tri
ple''', r'raw\n', '\x41\u4e2d\U0001F600\101\0', 'tab\tnl\n', 'back\\slash', '\
cont', 'unknown \d escape', u'uni', '中文', 'é', b'bytes\x00'.decode('latin-1') if False else 'x']
name = 'Wörld'
val = 3.14159
fs = [f'{name}', f'{name!r:>10}', f'{val:.2f}', f'{val:{10}.{3}}', f'{{literal}}', f'{1 + 1}', f'{name:_^11}', f'{name=}', f'{val = :.1f}', f'{"in" + "ner"}',
      f"{'a' if True else 'b'}", f'{[1, 2][0]}', f'{dict(a=1)["a"]}', f'{1e-6}', f'{100.0}', f'{True}', f'{None}', f'{[1, "a"]}', f'{12345:,}', f'{255:#x}', f'{5:03d}',
      f'{0.5:%}', f'{name!a}', rf'\d{val:.0f}\n', f'''{
          name
      }''', f'{name}' '{not}' f'{val:.0f}', f'{lambda_ if (lambda_ := 1) else 0}', f'{"nested {}".format(1)}', f'{{{val:.0f}}}', f'{{{{}}}}', F"{3!s}"]
pct = ['%s' % 'x', '%d %5.2f %s' % (1, 2.5, [1]), '%(a)s %(b)03d' % {'a': 'A', 'b': 7}, '%%', '%x %o %e' % (255, 8, 12345.678), '%r' % 'q', '%-5s|' % 'a', '%c' % 65]
fmt = ['{} {}'.format(1, 'a'), '{1}{0}'.format('a', 'b'), '{a[0]} {b[k]}'.format(a=[1], b={'k': 2}), '{:>5}|{:<5}|{:^5}'.format('a', 'b', 'c'), '{:.3}'.format('abcdef'), '{!r}'.format('x'),
       '{:{w}}'.format('a', w=4), '{:+d} {: d}'.format(3, 4), '{:e}'.format(1234.5), '{:g}'.format(1e-10), '{{}}'.format(), '{:,.2f}'.format(1234567.891), '{:b}'.format(5)]
meth = ['  x '.strip(), 'xxaxx'.strip('x'), 'a,b,,c'.split(','), ' a b '.split(), 'a-b-c'.rsplit('-', 1), 'a\nb\r\nc'.splitlines(), ','.join(['a', 'b']), 'abc'.replace('b', 'X'),
        'abc'.upper(), 'ABC'.lower(), 'abc def'.title(), 'abc'.capitalize(), 'abc'.startswith(('x', 'a')), 'abc'.endswith('c'), 'abcabc'.find('c'), 'abcabc'.rfind('c'),
        'abcabc'.count('b'), 'abc'.index('b'), '42'.zfill(5), 'a'.ljust(3, '.'), 'a'.rjust(3), 'a'.center(5, '*'), '12'.isdigit(), 'ab'.isalpha(), 'a1'.isalnum(), ' '.isspace(),
        'A'.isupper(), 'a'.islower(), 'a=b=c'.partition('='), 'a=b=c'.rpartition('='), 'prefix_x'.removeprefix('prefix_'), 'x_suf'.removesuffix('_suf'), 'aBc'.swapcase(),
        'ß'.casefold(), 'a\tb'.expandtabs(4), 'abc'.translate(str.maketrans('ab', 'xy')), 'id_1'.isidentifier(), str.upper('q'), 'x'.encode().decode(), 'abc'[::-1], 'abc'[-2:], 'abc'[1]]
lists = [[1, 2] + [3], [0] * 3, [3, 1, 2].index(1), [1, 1, 2].count(1), [1, 2, 3][1:], [1, 2, 3][::-1], [[]] * 2, 2 in [1, 2], [1, 2] == [1, 2.0], [1, 2] < [1, 3], (1, 2) + (3,), (1,) * 2]
m = [3, 1, 2]
m.sort()
m.reverse()
m.insert(1, 'i')
m.extend(x for x in 'xy')
popped = [m.pop(), m.pop(0), m]
m.remove('i')
mc = m.copy()
m.clear()
st = ['b', 'C', 'a']
st.sort(key=str.lower, reverse=True)
d = dict(a=1, b=2)
d.update(c=3)
d.update({'d': 4}, e=5)
d.update([('f', 6)])
dm = [d.pop('a'), d.pop('zz', None), d.get('b'), d.get('zz', 0), d.setdefault('b', 9), d.setdefault('new', []), list(d), list(d.keys()), list(d.values()), list(d.items()), len(d),
      'b' in d, d.popitem(), {**d}, d | {'x': 1}, dict(zip('ab', [1, 2])), dict([['k', 'v']]), dict.fromkeys('ab', 0), {1: 'a', True: 'b'}, sorted(d), d == dict(d)]
keys = d.keys() & {'b', 'c', 'zz'} == {'b', 'c'}
sets = [sorted({1, 2} | {3}), sorted({1, 2} & {2}), sorted({1, 2} - {2}), sorted({1, 2} ^ {2, 3}), {1} <= {1, 2}, {1, 2}.issuperset([1]), len(set('hello')), frozenset([1]) == {1}]
realset = {3, 'a', 1}
cmp = [1 < 2 < 3, 1 < 3 > 2, 1 == 1.0, 'a' < 'b', None is None, 1 is not None, not [], 'x' not in 'abc', 3 != 4, (1, 2) < (1, 2, 0), True + 1, 1 if '' else 2, '' or 'dflt', 0 and 1]
tup = [(), (1,), (1, 2), tuple('ab'), tuple(range(2))]
conv = [str(1.0), str(None), repr('a\'"b'), bool([0]), list('ab'), chr(65), ord('é'), hex(255), bin(5), oct(8), abs(-3.5), divmod(7, 3), divmod(-7.5, 2), pow(2, 10), pow(3, 4, 5), len('日本'),
        sum([0.1] * 3), sum([[1], [2]], []), sum((x for x in [1, 2]), 10), max([], default=None), round(-0.5), int(True), float(2), complex(1, 2) == 1 + 2j, format(3.14159, '.2f'), ascii('é')]
mathv = [math.pi, math.sqrt(2), math.exp(1), math.log(10), math.log(8, 2), math.log2(8), math.log10(1000), math.floor(-2.5), math.ceil(2.1), math.trunc(-2.7), math.isinf(math.inf), math.isnan(math.nan),
         math.gcd(12, 18), math.factorial(10), math.comb(5, 2), math.fsum([0.1] * 10), math.prod([1, 2, 3]), math.pow(2, 0.5), math.hypot(3, 4), math.isclose(0.1 + 0.2, 0.3), math.e]
js = [json.loads('{"a": [1, 2.5, null, true, "\\u4e2d"]}'), json.dumps({'a': [1, None], 'é': 'x'}), json.dumps([1, {'b': 2}], indent=2), json.dumps('é', ensure_ascii=False)]
txt = textwrap.dedent('''
    a
      b
    c
''')
misc = [string.ascii_uppercase[:3], string.digits, type(1).__name__, type('') is str, isinstance(True, int), isinstance([], (list, tuple)), isinstance(d, dict), type(d) == dict, getattr({}, 'nope', 1), hasattr([], 'append')]
sl = 'abcdef'[slice(1, None, 2)]
rng = [list(range(0, 10, 3)), list(reversed([1, 2])), 3 in range(5), len(range(0, 10, 3)), range(5)[-1], list(range(5)[1:3])]
objs = (lambda: 0, range(3), {}.keys(), zip(), map(str, []), (x for x in ()), iter([]), enumerate([]), reversed([]), len, str, [].append, ''.join, Exception('x'), ValueError, ..., slice(1), 1j, b'x', object, torch.nn, json, {1}.union,
        [].__class__, iter({}), iter(''), iter(()), {}.items(), {}.values(), iter(range(1)), filter(None, []), NotImplemented)
backslashes = [f"\{1}", f"\{{", f"\}}", f"a\{1}b", f"\\{1}"]
