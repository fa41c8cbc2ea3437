# Statements: loops, conditions, exceptions, assignment, deletion.
import os.path as osp
import torch

a, (b, *c), d = 1, (2, 3, 4), [5]
[ee, f] = 'xy'
x = y = []
x.append(1)
i = 0
while True:
    i += 1
    if i == 3:
        continue
    if i > 5:
        break
else:
    i = -1
w = 3
while w:
    w -= 1
else:
    w_else = 'done'
for q in range(3):
    pass
else:
    q_else = q
for n in [1, 2, 3, 4]:
    if n == 2:
        break
else:
    n = 'no'
for k, (l, m) in {'p': (1, 2), 'r': (3, 4)}.items():
    last = [k, l, m]
log = []
try:
    log.append('try')
    {}['missing']
except (IndexError, KeyError) as err:
    log.append(str(err))
    log.append(repr(err))
    log.append(err.args)
    log.append(type(err).__name__)
else:
    log.append('else')
finally:
    log.append('finally')
try:
    1 / 0
except ZeroDivisionError:
    log.append('zero')
try:
    int('x')
except Exception as err:
    log.append(str(err))
try:
    log.append('fine')
except ValueError:
    pass
else:
    log.append('else2')


def leave(n):
    try:
        if n == 0:
            return 'early'
        if n == 1:
            raise ValueError('one', 2)
        return 'end'
    except ValueError as e:
        return repr(e)
    finally:
        log.append(f'left {n}')


left = [leave(0), leave(1), leave(2)]


def reraise():
    try:
        raise KeyError('k')
    except KeyError:
        raise


try:
    reraise()
except LookupError as e:
    log.append(str(e))
try:
    assert 1 == 2, 'text'
except AssertionError as e:
    log.append(str(e))
try:
    assert False
except AssertionError as e:
    log.append(str(e) + '!')
try:
    raise RuntimeError('cause') from ValueError('x')
except RuntimeError as e:
    log.append(str(e))
# annotations and line structure
ann: int = 5
ann2: 'list[str]' = ['a']; semi = 1; semi2 = 2
long = 1 + \
    2 + \
    3
paren = (1 +
         # a comment inside
         2
         )
if True: one_line = 1
elif False: one_line = 2
else: one_line = 3
s = set()
s |= {1}
s.add(2)
num = 7
num //= 2
num **= 3
num %= 10
num <<= 2
num |= 1
num ^= 2
num &= 0xff
num >>= 1
fl = 1
fl /= 3
li = [1, 2]
li2 = li
li += (3,)
li *= 2
dd = {'a': 1}
dd |= {'b': 2}
st = 'a'
st += 'b'
st *= 2
nest = {'k': [1, 2, {'z': 0}]}
nest['k'][2]['z'] += 5
nest['k'][0:1] = [9, 8, 7]
nest['k'][::2] = ['e', 'e', 'e']
del nest['k'][-1]
lst = list(range(10))
del lst[2:5]
del lst[0], lst[-1]
del a, (b, d)
del ee
names = sorted(k for k in globals().keys() if not k.startswith('__'))[:8]
ret = torch.nn
