from opencompass.models import A, B as Bee
import torch.nn
import os.path as osp
from mmengine.config import read_base
common = dict(x=1, l=[1, dict(deep=True)], t=(dict(u=1),), n=dict(p=dict(q=1)))
models = [dict(type=A, cfg=common, act=torch.nn.ReLU), dict(type=Bee, cfg=common)]
a_datasets = [dict(abbr='a1'), dict(abbr='a2')]
b_datasets = [dict(abbr='b1')]
here = osp.basename(__file__)
_private = 'p'
def helper(n):
    return [dict(n=i, c=common) for i in range(n)]
helped = helper(2)
for loopvar in range(2):
    pass
