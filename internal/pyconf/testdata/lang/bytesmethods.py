# Methods of bytes: results and errors.
out = []


def t(f):
    try:
        out.append(repr(f()))
    except Exception as e:
        out.append([type(e).__name__, str(e)])


texts = [b'', b'a', b'Hello World', b' \t x,y,,z \r\n', b'\x80\xc9\xff\xa0', b'a\x1cb\x85c\x0bd\x0ce', b'l1\nl2\r\nl3\rl4\x0bl5\x0cl6', b'They\'RE 2nd', b'\xe9A\xe9b', b'aXaXa', b'42', b'+7', b'\x00\x7f\x80']
for s in texts:
    for n in ('capitalize', 'lower', 'swapcase', 'title', 'upper', 'isalnum', 'isalpha', 'isascii', 'isdigit', 'islower', 'isspace', 'istitle', 'isupper', 'splitlines', 'expandtabs',
              'split', 'rsplit', 'strip', 'lstrip', 'rstrip', 'hex'):
        t(lambda: getattr(s, n)())
    t(lambda: s.splitlines(True))
    t(lambda: s.splitlines(keepends=True))
    t(lambda: s.zfill(6))
    for w in (b'a', b'X', b'\xe9', b'', b'\x80', b' '):
        for n in ('find', 'rfind', 'index', 'rindex', 'count', 'partition', 'rpartition', 'removeprefix', 'removesuffix', 'startswith', 'endswith', 'split', 'rsplit', 'strip', 'lstrip', 'rstrip', 'join'):
            if n == 'join':
                t(lambda: w.join([s, b'\xff', s]))
            else:
                t(lambda: getattr(s, n)(w))
        t(lambda: s.replace(w, b'<\xf0>'))
        t(lambda: s.replace(w, b'', 1))
        t(lambda: s.split(w, 1))
        t(lambda: s.rsplit(w, maxsplit=1))
        t(lambda: s.find(w, 1, -1))
    t(lambda: s.center(9))
    t(lambda: s.ljust(9, b'\xff'))
    t(lambda: s.rjust(9, b'*'))
t(lambda: b'abc'.find(98))
t(lambda: b'abc'.find(300))
t(lambda: b'ab\xff'.count(255))
t(lambda: b'abc'.index(b'x'))
t(lambda: b'abc'.startswith((b'x', b'ab')))
t(lambda: b'abc'.split(sep=b'b'))
t(lambda: b'a,b,c'.split(b',', maxsplit=1))
t(lambda: b','.join((b'a', b'b')))
t(lambda: b','.join(x for x in [b'a']))
t(lambda: b','.join([]))
t(lambda: bytes.upper(b'ab'))
for f in (lambda: b'abc'.find('a'), lambda: b'abc'.split('a'), lambda: b'abc'.replace('a', b'b'), lambda: b'abc'.replace(b'a', 'b'), lambda: b'abc'.strip('a'), lambda: b'abc'.strip(5),
          lambda: b'abc'.startswith('a'), lambda: b'abc'.startswith(('a',)), lambda: b','.join(['a']), lambda: b','.join('ab'), lambda: b','.join(5), lambda: b'abc'.partition('a'),
          lambda: b'abc'.partition(b''), lambda: b'abc'.split(b''), lambda: b'abc'.center(9, 'x'), lambda: b'abc'.center(9, b'xy'), lambda: b'abc'.removeprefix('a'), lambda: b'abc'.format(1),
          lambda: b'abc'.upper(1), lambda: b'abc'.zfill('a'), lambda: b'abc'.count(None), lambda: b'abc'.encode()):
    t(f)
