# Mistakes that show when the config runs.
x = undefined_name  ### NameError: name 'undefined_name' is not defined
-----------------------------------------------------------------------
from opencompass.openicl.icl_evaluator import AccEvaluator
eval_cfg = dict(evaluator=dict(type=AccEvaluatr))  ### NameError: name 'AccEvaluatr' is not defined → did you mean "AccEvaluator"?
-----------------------------------------------------------------------
runner = dict(type=LocalRunner)  ### NameError: name 'LocalRunner' is not defined → add: from opencompass.runners import LocalRunner
-----------------------------------------------------------------------
x = true  ### NameError: name 'true' is not defined → did you mean True?
-----------------------------------------------------------------------
x = null  ### NameError: name 'null' is not defined → did you mean None?
-----------------------------------------------------------------------
x = deepcopy([1])  ### NameError: name 'deepcopy' is not defined → add: from copy import deepcopy
-----------------------------------------------------------------------
p = os.path.join('a')  ### NameError: name 'os' is not defined → add: import os
-----------------------------------------------------------------------
p = osp.join('a')  ### NameError: name 'osp' is not defined → add: import os.path as osp
-----------------------------------------------------------------------
with read_base():
    from .nothing import x  ### config .nothing not found → there are case0, case1, case2, case3, case4, case5, …
-----------------------------------------------------------------------
x = lenn([1])  ### NameError: name 'lenn' is not defined → did you mean "len"?
-----------------------------------------------------------------------
siqa_datasets = []
datasets = siqa_dataset  ### NameError: name 'siqa_dataset' is not defined → did you mean "siqa_datasets"?
-----------------------------------------------------------------------
models = [dict(abbr='a')]
models[0].abbr = 'b'  ### AttributeError: 'dict' object has no attribute 'abbr' → write ['abbr'] = …
-----------------------------------------------------------------------
models = [dict(abbr='a')]
x = models[0].abbr  ### AttributeError: 'dict' object has no attribute 'abbr' → write ['abbr']: only dicts of base files give their keys as attributes
-----------------------------------------------------------------------
models = [dict(abbr='a')]
x = models['abbr']  ### TypeError: list indices must be integers or slices, not str
-----------------------------------------------------------------------
models = [dict(abbr='a')]
x = models[0]['abr']  ### KeyError: 'abr' → did you mean "abbr"?
-----------------------------------------------------------------------
x = [1].apend(2)  ### AttributeError: 'list' object has no attribute 'apend' → did you mean "append"?
-----------------------------------------------------------------------
x = 'a'.uper()  ### AttributeError: 'str' object has no attribute 'uper' → did you mean "upper"?
-----------------------------------------------------------------------
x = 'n=' + 5  ### TypeError: can only concatenate str (not "int") to str → turn the number into text with str(…), or use an f-string
-----------------------------------------------------------------------
x = [1, 2].append(3) + [4]  ### TypeError: unsupported operand type(s) for +: 'NoneType' and 'list' → one side is None: a function without return, or list.append, gives None
-----------------------------------------------------------------------
list = [1]
x = list('ab')  ### TypeError: 'list' object is not callable → the config has assigned a variable `list`, which hides the function of that name
-----------------------------------------------------------------------
x = ['a' ('b')]  ### TypeError: 'str' object is not callable → is a comma missing between two items?
-----------------------------------------------------------------------
x = 1 / 0  ### ZeroDivisionError: division by zero
-----------------------------------------------------------------------
x = [1, 2][5]  ### IndexError: list index out of range
-----------------------------------------------------------------------
a, b = [1, 2, 3]  ### ValueError: too many values to unpack (expected 2)
-----------------------------------------------------------------------
assert 1 == 2, 'one is not two'  ### AssertionError: one is not two
-----------------------------------------------------------------------
raise ValueError('set the key first')  ### ValueError: set the key first
-----------------------------------------------------------------------
def f(path, limit=3):
    return path
x = f('a', limitt=5)  ### TypeError: f() got an unexpected keyword argument 'limitt' → did you mean "limit"?
-----------------------------------------------------------------------
def f(path):
    return path
x = f()  ### TypeError: f() missing 1 required positional argument: 'path'
-----------------------------------------------------------------------
def inner(n):
    return 10 / n  ### ZeroDivisionError: division by zero
def outer(n):
    return inner(n)
x = outer(0)
-----------------------------------------------------------------------
x = next(v for v in [1, 2] if v > 5)  ### StopIteration → nothing was found: give next a second argument, the value to take then
-----------------------------------------------------------------------
d = {'a': 1}
for k in d:  ### RuntimeError: dictionary changed size during iteration → iterate over list(…) of it, which is a copy
    d[k + 'x'] = 1
-----------------------------------------------------------------------
from opencompass.models import OpenAI
m = OpenAI(path='gpt-4')  ### RuntimeError: OpenAI cannot be called in a config → `OpenAI` is a reference to opencompass.models.OpenAI, which a config imports but does not load; write dict(type=OpenAI, …)
-----------------------------------------------------------------------
from opencompass.models import OpenAI
m = [OpenAI] + OpenAI  ### TypeError: can only concatenate list (not "LazyObject") to list → `OpenAI` is a reference to opencompass.models.OpenAI, which a config imports but does not load; a config can only pass it on
-----------------------------------------------------------------------
import torch
x = torch.float16 + 1  ### TypeError: unsupported operand type(s) for +: 'LazyAttr' and 'int' → `float16` is a reference to torch.float16, which a config imports but does not load; a config can only pass it on
-----------------------------------------------------------------------
import os
key = os.environ['SURELY_NOT_SET']  ### KeyError: 'SURELY_NOT_SET' → set the environment variable SURELY_NOT_SET, or write os.environ.get('SURELY_NOT_SET', …)
-----------------------------------------------------------------------
import os
os.makedirs('x')  ### `os.makedirs` is not part of the config dialect → a config may use of os: curdir, environ, getcwd, getenv, linesep, listdir, name, pardir, path, sep
-----------------------------------------------------------------------
import math
x = math.sqroot(2)  ### `math.sqroot` is not part of the config dialect → did you mean math.sqrt?
-----------------------------------------------------------------------
import random
x = random.random()  ### `random.random` is not part of the config dialect → a config describes what to do; it does not run programs or reach outside
-----------------------------------------------------------------------
from datetime import datetime
now = datetime.now()  ### `datetime.datetime` is not part of the config dialect
-----------------------------------------------------------------------
x = open('missing.txt').read()  ### FileNotFoundError: [Errno 2] No such file or directory: 'missing.txt'
-----------------------------------------------------------------------
x = open('/etc/passwd', 'w')  ### open with mode 'w' is not part of the config dialect → a config can only read files
-----------------------------------------------------------------------
filename = 'x'  ### `filename` is reserved: a config cannot have a variable of this name
-----------------------------------------------------------------------
x = sorted([dict(a=1), dict(a=2)])  ### TypeError: '<' not supported between instances of 'dict' and 'dict'
-----------------------------------------------------------------------
x = sum([[1], [2]])  ### TypeError: unsupported operand type(s) for +: 'int' and 'list'
-----------------------------------------------------------------------
x = {'a': [1]}
y = {x: 1}  ### TypeError: unhashable type: 'dict'
-----------------------------------------------------------------------
x = '{a}'.format(b=1)  ### KeyError: 'a'
-----------------------------------------------------------------------
x = '%d' % 'a'  ### TypeError: %d format: a real number is required, not str
-----------------------------------------------------------------------
x = eval('1 +')  ### SyntaxError: unexpected end of line in eval('1 +')
-----------------------------------------------------------------------
x = f'{1:q}'  ### ValueError: Unknown format code 'q' for object of type 'int'
-----------------------------------------------------------------------
x = int('12a')  ### ValueError: invalid literal for int() with base 10: '12a'
-----------------------------------------------------------------------
with open('x') as f:  ### only `with read_base():` can be used at this place of a config → read the file in a function: def read(path): return open(path).read()
    pass
-----------------------------------------------------------------------
def f():
    global g
    x = lenght  ### NameError: name 'lenght' is not defined
f()
-----------------------------------------------------------------------
x = hash('a')  ### `hash` of a str is not part of the config dialect → its value differs from one run of Python to the next
-----------------------------------------------------------------------
import json
x = json.dumps(lambda: 1)  ### TypeError: Object of type function is not JSON serializable
-----------------------------------------------------------------------
x = dict([1, 2])  ### TypeError: cannot convert dictionary update sequence element #0 to a sequence → dict takes a dict, a list of pairs, or name=value
-----------------------------------------------------------------------
x = dict(**[1])  ### TypeError: dict() argument after ** must be a mapping, not list
-----------------------------------------------------------------------
x = dict({'a': 1}, {'b': 2})  ### TypeError: dict expected at most 1 argument, got 2
-----------------------------------------------------------------------
x = round('1.5')  ### TypeError: type str doesn't define __round__ method
-----------------------------------------------------------------------
x = '{{$SURELY_NOT_SET:}}'  ### environment variable SURELY_NOT_SET is not set, and the placeholder has no default → set SURELY_NOT_SET, or write {{$SURELY_NOT_SET:default}}
