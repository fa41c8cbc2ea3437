# No lazy trigger: classic mode with placeholders.
import os.path as osp
import math
from copy import deepcopy
from itertools import chain
base = '{{ fileBasename }}'
stem = '{{fileBasenameNoExtension}}'
ext = '{{ fileExtname }}'
env = '{{$SURELY_NOT_SET:some/default}}'
num = {{'$SURELY_NOT_SET_2:80'}}
summary_groups = []
_x = [dict(name=f'g{i}', subsets=[f's{j}' for j in range(2)]) for i in range(2)]
summary_groups.extend(_x)
summarizer = dict(
    dataset_abbrs=['a', ['b', 'c']],
    summary_groups=sum([v for k, v in locals().items() if k.endswith('_groups')], []),
)
def f():
    return 1
v = f()
ch = chain
mp = math.floor
jn = osp.join('a', 'b', '/c', 'd')
