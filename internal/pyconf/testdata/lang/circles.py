# Views and exceptions that lead back to themselves.
d = {}
d['v'] = d.values()
l = []
e = ValueError(l)
l.append(e)
out = [str(d), f'{d}', '%s' % d, repr(d['v']), repr(d.values()), str(e), repr(e), repr(l), str(ValueError(1, 'a')), repr(KeyError()), repr({1: 2}.items()), repr({}.keys())]
try:
    raise ValueError(d)
except ValueError as x:
    out.append(str(x))
try:
    [].index(e)
except ValueError as x:
    out.append(str(x))
try:
    {}[e]
except KeyError as x:
    out.append(str(x))
try:
    assert 0, d
except AssertionError as x:
    out.append(repr(x))
d = l = e = None
