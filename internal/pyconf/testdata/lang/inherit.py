# ConfigDict semantics, locals(), renames, imported names.
from mmengine.config import read_base
with read_base():
    from .base_a import models, common as com, a_datasets, b_datasets as bb_datasets, helper, _private
    from .base_a import *
import os
import torch
import numpy as np
from copy import deepcopy
from opencompass.datasets import X

datasets = sum((v for k, v in locals().items() if k.endswith('_datasets')), [])
names = [k for k, v in locals().items() if k.endswith('_datasets')]
models[0]['abbr'] = 'changed'
models[0].cfg.x = 2
models[1]['cfg'].update(n=dict(p=dict(r=2)), l=[5])
com.update(dict(n=dict(p=dict(s=3)), new=dict(k=[1])))
miss = com.pop('nothing')
miss2 = com.pop('nothing', 7)
lst = [1, 2]
com['lst'] = lst
lst.append(3)
com['lst'].append(4)
cp = com.copy()
cp['x'] = 'cp'
cp['n']['p']['q'] = 'shared'
cp['l'].append('own')
sd = com.setdefault('fresh', [])
sd.append('lost')
spread = {**com, 'x': 9}
plain = dict(com, x=10)
types = [type(com).__name__, type(spread).__name__, type(plain['n']).__name__, isinstance(com, dict), type(com.items()).__name__, type(com.keys()).__name__]
dc = deepcopy(models)
dc[0]['type'] is models[0]['type']
same = [models[0]['type'] == models[0]['type'], dc[0]['type'] == models[0]['type'], bool(X), str(X), f'{X}-{torch.nn.ReLU}', X is X]
lazy = dict(a=X, b=torch, c=torch.float16, d=np.int64, e=X.sub.attr, f=torch.nn.functional.relu, g=[X, (X,)])
got = [com.get('x'), com.get('zz', 5), com.x, getattr(com, 'zz', 'dflt'), 'x' in com, len(com), list(com)]
eqs = [com == dict(com), com == deepcopy(com), models[0] == deepcopy(models[0]), {'type': X} == {'type': deepcopy(X)}]
h = helper(1)
h[0]['c']['x'] = 'via helper'
try:
    com.missing
except AttributeError as e:
    err = str(e)
try:
    com['missing']
except KeyError as e:
    err2 = repr(e)
glob = globals()['_private']
globals()['made_' + 'up'] = 1
for _t in ['tmp1', 'tmp2']:
    globals()[_t] = _t
    del globals()[_t]
ev = eval('X')
ev2 = eval('lst + [1]')
env = os.environ.get('SURELY_NOT_SET', 'default')
X2 = X
merged = deepcopy(com)
merged.merge(dict(n=dict(_delete_=True, z=1)))
union = com | dict(x=0)
vals = list(com.values())[:1]
def uses_import():
    from .base_a import b_datasets as inner
    from opencompass.other import Y
    return [Y]
via = uses_import()
a = aa = bb_datasets
aa.append(dict(abbr='late'))
